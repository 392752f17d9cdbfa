//! Turns every page of the book into a documentation test, so that each program on a page is compiled and run.
//!
//! Pages show whole programs. This script adds the lines that only a test needs: a scratch folder, so that a program
//! leaves no file behind, and the import of the tutorial's bank, which is a module of this crate.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const BOOK: &str = "../docs/src";

/// The lines that run a program in a folder of its own.
const SCRATCH: &str = "# let scratch = tempfile::tempdir().unwrap();\n\
                       # std::env::set_current_dir(&scratch).unwrap();\n";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed={BOOK}");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut pages = Vec::new();
    collect(Path::new(BOOK), &mut pages)?;
    // The service's own documentation tests run the programs of its generated catalog.
    pages.retain(|page| !page.ends_with("spec-service/catalog.md"));
    pages.sort();
    let mut modules = String::new();
    for page in pages {
        let text = with_test_lines(&fs::read_to_string(&page)?);
        let name = page.strip_prefix(BOOK).expect("the page is in the book");
        let name: String = name.with_extension("").to_string_lossy().into();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        fs::write(out.join(format!("{name}.md")), text)?;
        writeln!(
            modules,
            "#[doc = include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.md\"))]\nmod page_{name} {{}}"
        )
        .expect("writing to a string");
    }
    fs::write(out.join("book.rs"), modules)
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

/// Returns `page` with the additional lines in its programs.
fn with_test_lines(page: &str) -> String {
    let mut text = String::new();
    let mut is_program = false;
    for line in page.lines() {
        text.push_str(line);
        text.push('\n');
        match line {
            "```rust" | "```rust,no_run" => is_program = true,
            _ if line.starts_with("```") => is_program = false,
            "// src/lib.rs, first version" => {
                text.push_str("# #![allow(unused)]\n");
                text.push_str("# use factum::prelude::*;\n# use factum_examples::bank::*;\n");
            }
            "// tests/conformance.rs" => text.push_str("# #![allow(unused)]\n"),
            _ if line.starts_with("use bank::") => text.push_str("# use factum_examples::bank;\n"),
            _ if is_program && line.contains("fn main()") => text.push_str(SCRATCH),
            _ => {}
        }
    }
    text
}
