//! The texts: links lead somewhere, every page is in the table of contents, and code on a page is code that
//! is compiled.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the texts has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// An architecture decision has fewer lines.
const ADR_LINES: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of the book, without its table of contents.
fn pages() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md")
                && !path.ends_with("SUMMARY.md")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join("docs/src"), &mut found);
    assert!(!found.is_empty(), "the book has no pages");
    found
}

/// A fenced block of code: the word behind the fence, and the lines.
struct Block {
    language: String,
    lines: Vec<String>,
}

/// The lines of a text outside of its blocks of code, and the blocks.
fn split(text: &str) -> (Vec<&str>, Vec<Block>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                let language = language.to_owned();
                let lines = Vec::new();
                open = Some(Block { language, lines });
            }
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => prose.push(line),
        }
    }
    assert!(open.is_none(), "a block of code is not closed");
    (prose, blocks)
}

/// What the links of a text lead to.
fn links(text: &str) -> Vec<String> {
    let (prose, _) = split(text);
    let prose = prose.join("\n");
    let behind = prose.split("](").skip(1);
    behind
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect()
}

/// The anchors of a page, as mdBook and GitHub make them of headings.
fn anchors(text: &str) -> Vec<String> {
    let (prose, _) = split(text);
    let headings = prose.into_iter().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut texts = pages();
    for text in ["README.md", "CHANGELOG.md", "docs/src/SUMMARY.md"] {
        texts.push(root().join(text));
    }
    for path in texts {
        let text = read(&path);
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                _ => path.parent().unwrap().join(file),
            };
            let from = path.display();
            assert!(
                target.exists(),
                "{from} links to {link}, which is not there"
            );
            assert!(
                anchor.is_empty() || anchors(&read(&target)).iter().any(|known| known == anchor),
                "{from} links to {link}, and there is no such heading"
            );
        }
    }
}

#[test]
fn links_between_pages_stay_in_the_book() {
    let book = root().join("docs/src");
    for path in pages() {
        for link in links(&read(&path)) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let file = link.split('#').next().unwrap();
            let target = path.parent().unwrap().join(file).canonicalize().unwrap();
            let from = path.display();
            assert!(
                target.starts_with(&book),
                "{from} links to {link}, outside of the book"
            );
        }
    }
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let book = root().join("docs/src");
    let mut listed = links(&read(book.join("SUMMARY.md")));
    listed.sort_unstable();
    let mut there: Vec<String> = pages()
        .iter()
        .map(|page| page.strip_prefix(&book).unwrap().display().to_string())
        .collect();
    there.sort_unstable();
    assert_eq!(listed, there);
}

#[test]
fn decisions_are_short_and_have_their_three_parts() {
    let decisions = pages()
        .into_iter()
        .filter(|page| page.parent().unwrap().ends_with("adr"));
    let mut count = 0;
    for page in decisions {
        let text = read(&page);
        let lines = text.lines().count();
        let name = page.display();
        assert!(
            lines < ADR_LINES,
            "{name} has {lines} lines, {ADR_LINES} are too many"
        );
        let headings: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        assert_eq!(
            headings,
            ["## Context", "## Decision", "## Consequences"],
            "{name}"
        );
        count += 1;
    }
    assert!(count > 0, "there are no decisions");
}

/// Blocks marked `rs` are pieces of files of the tutorial's package, which are those of the examples.
#[test]
fn the_code_of_the_tutorial_is_the_code_of_the_examples() {
    let contents = read(root().join("docs/src/SUMMARY.md"));
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for link in links(&contents) {
        let (_, blocks) = split(&read(root().join("docs/src").join(&link)));
        for block in blocks.into_iter().filter(|block| block.language == "rs") {
            let Some((Some(file), code)) = block
                .lines
                .split_first()
                .map(|(first, code)| (first.strip_prefix("// "), code.join("\n")))
            else {
                panic!("{link}: a piece of code does not begin with the name of its file");
            };
            let text = files.entry(file.to_owned()).or_default();
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&code);
            text.push('\n');
        }
    }
    assert!(
        files.contains_key("src/lib.rs"),
        "the tutorial has no library"
    );
    for (file, text) in files {
        let ours = match &*file {
            "src/lib.rs" => "src/bank.rs",
            test => test,
        };
        // The tutorial's package is called `bank`; here it is a module of the examples.
        let code = read(root().join("examples").join(ours));
        let code = code.replace("use factum_examples::bank;\n", "");
        let other = text.lines().zip(code.lines()).find(|(a, b)| a != b);
        assert!(
            text == code,
            "{file} of the tutorial is not examples/{ours}: {other:?}"
        );
    }
}

#[test]
fn every_page_with_a_program_is_a_documentation_test() {
    let tested = ["examples/src/lib.rs", "tests/src/lib.rs"];
    let tested = tested.map(|file| read(root().join(file))).join("\n");
    for page in pages() {
        let (_, blocks) = split(&read(&page));
        let has_program = blocks
            .iter()
            .any(|block| block.language.starts_with("rust"));
        let unmarked = blocks
            .iter()
            .all(|block| !block.language.starts_with("rust,"));
        assert!(
            unmarked,
            "{}: every program is compiled and run",
            page.display()
        );
        let path = page.strip_prefix(root()).unwrap().display().to_string();
        assert!(
            !has_program || tested.contains(&format!("include_str!(\"../../{path}\")")),
            "{path} holds Rust, and no documentation test takes it in"
        );
    }
}

/// A line `- `name` in `file`` names a test.
#[test]
fn the_tests_that_hold_the_guarantees_exist() {
    let page = read(root().join("docs/src/guarantees.md"));
    let mut count = 0;
    for line in page.lines().filter(|line| line.starts_with("- `")) {
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let [name, file, ..] = quoted[..] else {
            panic!("a test without its file: {line}");
        };
        let text = read(root().join(file));
        // A case of the conformance suite is generic over the store.
        let defined = ["(", "<B: Backend>("].map(|rest| format!("fn {name}{rest}"));
        let found = defined.iter().any(|defined| text.contains(defined));
        assert!(found, "{file} holds no {name}");
        count += 1;
    }
    assert!(count > 0, "the guarantees name no tests");
}
