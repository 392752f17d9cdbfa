//! The texts: links lead somewhere, every page is in the table of contents, and programs on pages are whole.

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

/// A fenced block of code: its language, and its lines.
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

/// Returns the targets of the links in a text.
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
    for text in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/src/SUMMARY.md",
    ] {
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

/// Blocks marked `rs` are pieces of files of the examples, which are also the files of the tutorial's package.
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

/// `examples/build.rs` turns each block into a documentation test.
#[test]
fn programs_on_pages_are_whole() {
    let mut count = 0;
    // The service's own documentation tests run the programs of its generated catalog.
    let written = |page: &PathBuf| !page.ends_with("spec-service/catalog.md");
    for page in pages().into_iter().filter(written) {
        let name = page.display();
        let (_, blocks) = split(&read(&page));
        for block in blocks {
            match &*block.language {
                "rust" => {}
                // These programs need a server.
                "rust,no_run" => {
                    let text = block.lines.join("\n");
                    assert!(
                        text.contains("factum_postgres"),
                        "{name}: the program must run"
                    );
                }
                other => {
                    assert!(!other.starts_with("rust,"), "{name}: the program must run");
                    continue;
                }
            }
            let is_part = ["// src/lib.rs, first version", "// tests/conformance.rs"]
                .contains(&&*block.lines[0]);
            let has_main = block.lines.iter().any(|line| line.contains("fn main()"));
            assert!(has_main || is_part, "{name}: a program without `main`");
            let hidden = block
                .lines
                .iter()
                .find(|line| line.starts_with("# ") || *line == "#");
            assert!(
                hidden.is_none(),
                "{name}: a line that is hidden in the book only: {hidden:?}"
            );
            count += 1;
        }
    }
    assert!(count > 0, "the book has no programs");
}

#[test]
fn programs_of_how_to_pages_have_their_dependencies() {
    let folder = root().join("docs/src/how-to");
    let (_, blocks) = split(&read(folder.join("run-the-programs.md")));
    let listed = blocks
        .iter()
        .find(|block| block.language == "toml")
        .unwrap();
    let name = |line: &String| line.split(" = ").next().unwrap().replace('-', "_");
    let listed: Vec<String> = listed.lines.iter().map(name).collect();
    let of_a_task = |page: &PathBuf| page.parent().unwrap().ends_with("how-to");
    for page in pages().into_iter().filter(of_a_task) {
        let (_, blocks) = split(&read(&page));
        let programs = blocks
            .iter()
            .filter(|block| block.language.starts_with("rust"));
        for line in programs.flat_map(|program| &program.lines) {
            let Some(path) = line.strip_prefix("use ") else {
                continue;
            };
            let name = path.split(':').next().unwrap().to_owned();
            assert!(
                name == "std" || listed.contains(&name),
                "{}: {name} is not among the dependencies",
                page.display()
            );
        }
    }
}

/// A line `- `name` in `file`` names a test.
#[test]
fn the_tests_that_hold_the_guarantees_exist() {
    let page = read(root().join("docs/src/project/guarantees.md"));
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

#[test]
fn crates_have_a_readme_and_search_terms() {
    let workspace = read(root().join("Cargo.toml"));
    let members = workspace.split("members = [").nth(1).unwrap();
    let members = members.split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 10, "{members:?}");
    for member in members {
        let folder = root().join(member);
        let name = read(folder.join("Cargo.toml"));
        let name = name.split("name = \"").nth(1).unwrap();
        let name = name.split('"').next().unwrap();
        let readme = read(folder.join("README.md"));
        assert!(
            readme.starts_with(&format!("# {name}\n")),
            "{member}: the README does not begin with the name of the crate"
        );
        let manifest = read(folder.join("Cargo.toml"));
        for key in ["description", "keywords", "categories", "license"] {
            let line = |line: &str| line.starts_with(key);
            assert!(manifest.lines().any(line), "{member}: no {key}");
        }
    }
}

/// The words of the glossary, and those that pages must not use for the same thing.
#[test]
fn pages_use_the_words_of_the_glossary() {
    let other = [
        ("dead letter queue", "dead-letter queue"),
        ("idempotence key", "idempotency key"),
        ("check point", "checkpoint"),
        ("time-out", "timeout"),
        ("up-caster", "upcaster"),
        ("event store's", "store's"),
        ("command handler", "command"),
        ("eventually consistent", "may lag"),
        ("materialized view", "read model"),
        ("back-end", "backend"),
        ("e.g.", "for example"),
        ("i.e.", "that is"),
        ("Postgres ", "PostgreSQL "),
        ("Sqlite ", "SQLite "),
        ("Github", "GitHub"),
    ];
    let mut found = Vec::new();
    let mut texts = pages();
    texts.push(root().join("README.md"));
    for path in texts {
        let text = read(&path);
        let (prose, _) = split(&text);
        for line in prose {
            for (word, instead) in other {
                if line.contains(word) {
                    found.push(format!("{}: {word:?}; write {instead:?}", path.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
