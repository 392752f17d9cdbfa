//! The book, and the Markdown files beside it, have no problems.

use std::path::{Path, PathBuf};

use anyhow::Result;
use factum_book_check::{Known, problems_of_book, problems_of_file};

/// The Markdown files that are not pages of the book. Those of the crates are `README.md` beside `Cargo.toml`.
const FILES: [&str; 4] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn words_of_the_project_are_in_order() -> Result<()> {
    let list = std::fs::read_to_string(root().join("docs/book-check/words/project.txt"))?;
    let words: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(words.is_sorted(), "sort the words of `words/project.txt`");
    Ok(())
}

#[test]
fn pages_have_no_problems() -> Result<()> {
    let known = Known::of_workspace(&root())?;
    let problems = problems_of_book(&root().join("docs"), &known)?;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn files_beside_the_book_have_no_problems() -> Result<()> {
    let known = Known::of_workspace(&root())?;
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let members = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let mut files: Vec<String> = FILES.map(str::to_owned).to_vec();
    files.extend(members.map(|member| format!("{member}/README.md")));
    let files = files.iter().filter(|file| root().join(file).exists());
    let mut problems = Vec::new();
    for file in files {
        problems.extend(problems_of_file(&root(), file, &known)?);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
