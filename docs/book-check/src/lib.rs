//! Builds the book with mdBook as a library, and finds problems in its HTML.

mod html;
mod links;
mod markup;
mod spelling;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mdbook_driver::MDBook;
use pulldown_cmark::{Options, Parser};

pub use spelling::Words;

use html::Page;

/// The files that mdBook creates beside the pages.
const OTHER_FILES: [&str; 3] = ["404.html", "print.html", "toc.html"];

/// The facts that texts are compared with.
#[derive(Debug, Default)]
pub struct Known {
    /// The words that are spelled correctly.
    pub words: Words,
    /// The names of crates that have a page on docs.rs.
    pub crates: BTreeSet<String>,
}

impl Known {
    /// Reads the lists of words, and the crates of the lock file, of the workspace in the folder `root`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub fn of_workspace(root: &Path) -> Result<Self> {
        let words = root.join("docs/book-check/words");
        let lock = read(&root.join("Cargo.lock"))?;
        let names = lock
            .lines()
            .filter_map(|line| line.strip_prefix("name = \""));
        Ok(Self {
            words: Words::new([
                &read(&words.join("english.txt"))?,
                &read(&words.join("project.txt"))?,
            ]),
            crates: names
                .map(|name| name.trim_end_matches('"').to_owned())
                .collect(),
        })
    }
}

/// Builds the book in the folder `book` into the folder `target`.
///
/// # Errors
/// Returns an error if mdBook cannot build it.
pub fn build(book: &Path, target: &Path) -> Result<()> {
    let mut book = MDBook::load(book)?;
    target.clone_into(&mut book.config.build.build_dir);
    book.build()
}

/// Builds the book in the folder `book`, and returns the problems of its pages.
///
/// # Errors
/// Returns an error if mdBook cannot build it, or if a file cannot be read.
pub fn problems_of_book(book: &Path, known: &Known) -> Result<Vec<String>> {
    let target = tempfile::tempdir()?;
    build(book, target.path())?;
    let files = files(target.path())?;
    let is_page = |file: &&String| file.ends_with(".html") && !OTHER_FILES.contains(&&***file);
    let pages: Result<Vec<Page>> = files
        .iter()
        .filter(is_page)
        .map(|file| Ok(Page::read(file, &read(&target.path().join(file))?)))
        .collect();
    let pages = pages?;
    let mut problems = links::problems(&pages, &files, &known.crates);
    for page in &pages {
        problems.extend(markup::problems(page));
        problems.extend(markup::outline_problems(page));
        problems.extend(spelling_problems(page, &known.words));
    }
    let sources = book.join("src");
    for file in self::files(&sources)? {
        if file.ends_with(".md") {
            problems.extend(markup::table_problems(&file, &read(&sources.join(&file))?));
        }
    }
    Ok(problems)
}

/// Returns the problems of a Markdown file that is not a page of the book.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn problems_of_file(root: &Path, file: &str, known: &Known) -> Result<Vec<String>> {
    let markdown = read(&root.join(file))?;
    let mut html = String::from("<main>");
    pulldown_cmark::html::push_html(
        &mut html,
        Parser::new_ext(&markdown, Options::ENABLE_TABLES),
    );
    let page = Page::read(file, &html);
    let mut problems = markup::problems(&page);
    problems.extend(markup::table_problems(file, &markdown));
    problems.extend(spelling_problems(&page, &known.words));
    Ok(problems)
}

fn spelling_problems(page: &Page, words: &Words) -> Vec<String> {
    let unknown = words.unknown(page.texts.iter().map(String::as_str));
    let path = &page.path;
    unknown
        .into_iter()
        .map(|word| {
            format!(
                "{path}: unknown word: {word:?}; if it is correct, add it to `words/project.txt`"
            )
        })
        .collect()
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// Returns the files below `folder`, as paths relative to it with `/`, in order.
fn files(folder: &Path) -> Result<Vec<String>> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    let mut files = Vec::new();
    for path in found {
        let relative = path.strip_prefix(folder)?;
        files.push(relative.to_string_lossy().replace('\\', "/"));
    }
    files.sort_unstable();
    Ok(files)
}
