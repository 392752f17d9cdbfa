//! The language of comments, documentation and messages: plain English, and first lines that are complete sentences.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the texts has failed"
)]

#[path = "support/sources.rs"]
mod sources;

use std::fs;

use sources::{files_with_extension, relative, rust_files};

/// Phrases that are hard to read, and the words to use instead.
const PHRASES: [(&str, &str); 28] = [
    ("whoever", "name the actor"),
    ("whosoever", "name the actor"),
    ("anew", "again"),
    ("in vain", "without effect"),
    ("for ever", "forever"),
    ("it shall", "it must"),
    ("gives back", "returns"),
    ("give back", "return"),
    ("given back", "returned"),
    ("gives up on", "stops retrying"),
    ("goes on", "continues"),
    ("went on", "continued"),
    ("lets go", "releases"),
    ("let go", "release"),
    ("tells of", "reports"),
    ("told of", "informed about"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("obeys", "carries out"),
    ("obeyed", "carried out"),
    ("rests on", "depends on"),
    ("stands at", "is at"),
    ("stands still", "is paused"),
    ("taken for dead", "considered dead"),
    ("sign of life", "heartbeat"),
    ("comes to an end", "ends"),
    ("of its own accord", "without a request"),
    ("behind which", "after which"),
];

/// Words that a first line must not start with: it is then no sentence with a subject and a verb.
const FIRST_WORDS: [&str; 9] = [
    "What", "Whatever", "Who", "Whoever", "Whose", "Also", "Then", "Is", "Are",
];

/// The maximum number of characters of a first line.
const MAX_FIRST_LINE: usize = 100;

#[test]
fn texts_use_plain_words() {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for extension in ["rs", "md", "proto", "sql", "toml", "go"] {
        files.extend(files_with_extension(extension));
    }
    for file in files {
        if file.ends_with("tests/tests/wording.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for (phrase, instead) in phrases_in(line) {
                let place = format!("{}:{}", relative(&file), number + 1);
                found.push(format!("{place}: {phrase:?}; write {instead:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn phrases_in(line: &str) -> Vec<(&'static str, &'static str)> {
    let words = line
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let line = format!(" {} ", words.join(" "));
    let is_in_line = |phrase: &str| line.contains(&format!(" {phrase} "));
    PHRASES
        .into_iter()
        .filter(|(phrase, _)| is_in_line(phrase))
        .collect()
}

#[test]
fn phrase_is_found_as_whole_words() {
    assert_eq!(phrases_in("/// It Goes  on, later.").len(), 1);
    assert_eq!(phrases_in("egoes once").len(), 0);
}

#[test]
fn first_lines_are_sentences() {
    let mut found = Vec::new();
    let folders = [
        "framework",
        "framework-macros/src",
        "adapters",
        "spec-service/src",
        "benchmarks",
    ];
    for file in folders.iter().flat_map(|folder| rust_files(folder)) {
        if file.to_string_lossy().ends_with("generated.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (line, first) in first_lines(&text) {
            if let Some(problem) = problem_of(&first) {
                found.push(format!("{}:{line}: {problem}: {first}", relative(&file)));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns the first paragraph of each documentation comment of an item, with the number of its line.
fn first_lines(text: &str) -> Vec<(usize, String)> {
    let mut first_lines = Vec::new();
    let mut in_comment = false;
    let mut in_paragraph = false;
    for (index, line) in text.lines().enumerate() {
        let Some(line) = line.trim_start().strip_prefix("///") else {
            in_comment = false;
            continue;
        };
        let line = line.trim();
        match (in_comment, in_paragraph) {
            (false, _) => first_lines.push((index + 1, line.to_owned())),
            (true, true) if !line.is_empty() => {
                let (_, first): &mut (usize, String) = first_lines.last_mut().unwrap();
                *first = format!("{first} {line}");
            }
            (true, _) => {}
        }
        in_paragraph = !line.is_empty() && (in_paragraph || !in_comment);
        in_comment = true;
    }
    first_lines
}

fn problem_of(first: &str) -> Option<String> {
    let word = first.split(' ').next().unwrap_or_default();
    let starts_well =
        first.starts_with(|c: char| c.is_uppercase() || c.is_numeric() || "`[".contains(c));
    let is_code = first.starts_with('`') && first.ends_with('`');
    if !starts_well || FIRST_WORDS.contains(&word) {
        Some(format!("a first line does not start with {word:?}"))
    } else if !is_code && !first.ends_with(['.', ':', '?', '>']) {
        Some("a first line ends with a full stop".to_owned())
    } else if first.chars().count() > MAX_FIRST_LINE {
        Some(format!(
            "a first line has at most {MAX_FIRST_LINE} characters, then an empty line"
        ))
    } else {
        None
    }
}

#[test]
fn first_line_problem_is_found() {
    let text = "/// Returns it.\n///\n/// whoever\nfn a() {}\n/// What fails is kept.\nfn b() {}\n/// No full\n/// stop";
    let found: Vec<_> = first_lines(text)
        .into_iter()
        .map(|(line, first)| (line, problem_of(&first).is_some()))
        .collect();
    assert_eq!(found, [(1, false), (5, true), (7, true)]);
}
