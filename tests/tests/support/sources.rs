//! The source files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Returns the Rust files in `folder`, a path below the root of the workspace, sorted.
#[allow(dead_code, reason = "not every test reads all sources")]
pub fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&root().join(folder), "rs", &mut files);
    assert!(!files.is_empty(), "no Rust file in {folder:?}");
    files.sort();
    files
}

/// Returns the files with this extension in the whole workspace, sorted.
#[allow(dead_code, reason = "not every test reads other files")]
pub fn files_with_extension(extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&root(), extension, &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            // Build results, and tools of other languages.
            if name != "target"
                && name != "node_modules"
                && !name.as_encoded_bytes().starts_with(b".")
            {
                collect(&path, extension, files);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
}

/// Returns the path of a file below the root of the workspace.
#[allow(dead_code, reason = "not every test reports files")]
pub fn relative(file: &Path) -> String {
    let file = file.strip_prefix(root()).unwrap_or(file);
    file.display().to_string()
}
