//! Each kind of problem is found in a small book that has it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use factum_book_check::{Known, Words, problems_of_book};

/// Returns the problems of a book with one page.
fn problems(page: &str) -> Result<Vec<String>> {
    let book = tempfile::tempdir()?;
    fs::create_dir(book.path().join("src"))?;
    fs::write(book.path().join("book.toml"), "[book]\ntitle = \"Test\"\n")?;
    fs::write(
        book.path().join("src/SUMMARY.md"),
        "# Summary\n\n- [Page](page.md)\n",
    )?;
    fs::write(book.path().join("src/page.md"), page)?;
    let list = "a\npage\nlink\nread\n".to_owned();
    let known = Known {
        words: Words::new([&list]),
        crates: BTreeSet::from(["serde".to_owned()]),
    };
    let problems = problems_of_book(book.path(), &known)?;
    // The first page is also the index of the book.
    let of_page = |problem: &String| !problem.starts_with("index.html");
    Ok(problems.into_iter().filter(of_page).collect())
}

#[track_caller]
fn assert_problems(page: &str, expected: &[&str]) {
    match problems(page) {
        Ok(found) => assert_eq!(found, expected),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn correct_page_has_no_problem() {
    let page = "# Page\n\n## Read\n\nA [link](#read), [a](https://docs.rs/serde).\n\n```rust\nfn main() {}\n```\n";
    assert_problems(page, &[]);
}

#[test]
fn broken_anchor_is_found() {
    let problem = "page.html: link to an anchor that does not exist: \"#raed\"";
    assert_problems("# Page\n\n## Read\n\n[link](#raed)\n", &[problem]);
}

#[test]
fn missing_files_are_found() {
    assert_problems(
        "# Page\n\n[link](other.md) ![a](a.png)\n",
        &[
            "page.html: link to a file that does not exist: \"a.png\"",
            "page.html: link to a file that does not exist: \"other.html\"",
        ],
    );
}

#[test]
fn unknown_crate_and_plain_http_are_found() {
    assert_problems(
        "# Page\n\n[a](https://docs.rs/sedre/latest) [link](http://example.org)\n",
        &[
            "page.html: link without TLS: \"http://example.org\"",
            "page.html: link to docs.rs with a crate that is not in the lock file: \"https://docs.rs/sedre/latest\"",
        ],
    );
}

#[test]
fn misspelling_is_found() {
    let problem =
        "page.html: unknown word: \"raed\"; if it is correct, add it to `words/project.txt`";
    assert_problems("# Page\n\nRaed a `pgae`.\n", &[problem]);
}

#[test]
fn unrendered_markdown_is_found() {
    let problem = "page.html: Markdown is not rendered, \"**\" in: \"**read **a page\"";
    assert_problems("# Page\n\n**read **a page\n", &[problem]);
    let problem = "page.html: Markdown is not rendered, \"][\" in: \"[read][page]\"";
    assert_problems("# Page\n\n[read][page]\n", &[problem]);
}

#[test]
fn code_without_language_is_found() {
    let problem = "page.html: block of code without a language: \"let a = 1;\"";
    assert_problems("# Page\n\n```\nlet a = 1;\n```\n", &[problem]);
}

#[test]
fn long_line_of_code_is_found() {
    let line = format!("// {}", "a".repeat(120));
    let problem =
        format!("page.html: a line of code has 123 characters; at most 110 fit: {line:?}");
    assert_problems(&format!("# Page\n\n```rust\n{line}\n```\n"), &[&problem]);
}

#[test]
fn cell_that_is_lost_is_found() {
    let problem = "page.md: a row has 3 cells, the head of its table 2: \"| `a | b` | read |\"";
    assert_problems(
        "# Page\n\n| a | page |\n|---|---|\n| `a | b` | read |\n",
        &[
            "page.html: Markdown is not rendered, \"`\" in: \"`a\"",
            "page.html: Markdown is not rendered, \"`\" in: \"b`\"",
            problem,
        ],
    );
}

#[test]
fn gap_between_headings_is_found() {
    let problem = "page.html: a heading of level 3 follows one of level 1";
    assert_problems("# Page\n\n### Read\n", &[problem]);
}
