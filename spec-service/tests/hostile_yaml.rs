//! Hostile YAML texts: each is validated in bounded time and without a panic.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use saphyr_parser::Parser;
use spec_service::content::{Content, DEFAULT_MAX_BYTES, MAX_BYTES_LIMIT};

/// The maximum time for one text.
///
/// It is generous, because the machine may be busy. An optimized build validates each of these texts in less than
/// 100 ms, a debug build in less than 800 ms.
const MAX_TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 4000 } else { 500 });

/// Repeats `part` up to a size of one mebibyte minus `room` bytes.
fn fill(part: &str, room: usize) -> String {
    part.repeat((MAX_BYTES_LIMIT - room) / part.len())
}

/// Creates an alias bomb: each level refers to the level before it nine times, after `padding` keys.
fn billion_laughs(levels: usize, padding: usize) -> String {
    let keys: String = (0..padding).map(|key| format!("  k{key}: 0\n")).collect();
    let level = |level: usize| {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("a{level}: &a{level}\n{keys}  x: [{aliases}]\n")
    };
    format!(
        "a0: &a0 lol\n{}",
        (1..=levels).map(level).collect::<String>()
    )
}

#[track_caller]
fn assert_outcome(text: &str, expected: &str) {
    let start = Instant::now();
    let outcome =
        Content::parse(text.as_bytes(), MAX_BYTES_LIMIT).map_or_else(|e| e.code(), |_| "ok");
    let elapsed = start.elapsed();
    let head: String = text.chars().take(24).collect();
    assert_eq!(outcome, expected, "{head:?}");
    assert!(elapsed < MAX_TIME, "{head:?} took {elapsed:?}");
}

#[test]
fn alias_bombs_are_rejected() {
    for (levels, padding) in [(9, 0), (9, 50), (400, 0), (40, 500)] {
        assert_outcome(&billion_laughs(levels, padding), "yaml_alias_expansion");
    }
    let small = billion_laughs(9, 10);
    assert!(small.len() < DEFAULT_MAX_BYTES);
    assert_outcome(&small, "yaml_alias_expansion");

    let quadratic = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x,".repeat(1000),
        "*a,".repeat(1000)
    );
    assert_outcome(&quadratic, "yaml_alias_expansion");
    let long = format!(
        "a: &a {}\nb:\n{}",
        "x".repeat(500_000),
        "- *a\n".repeat(100_000)
    );
    assert_outcome(&long, "yaml_alias_expansion");
    assert_outcome(
        &format!("- &a x\n{}", fill("- *a\n", 8)),
        "yaml_alias_expansion",
    );
    assert_outcome(
        &format!("- &a {{x: y}}\n{}", fill("- <<: *a\n", 16)),
        "yaml_alias_expansion",
    );
    assert_outcome("&a [*a, *a]", "yaml_recursive_alias");
    assert_outcome("a: &a {b: &b {c: *a, d: *b}}", "yaml_recursive_alias");
}

#[test]
fn deep_nesting_is_rejected() {
    for part in [
        "[", "{", "[[", "{a: ", "[{", "- ", "? ", "- ? ", "? - ", "- - - - ",
    ] {
        assert_outcome(&fill(part, 0), "yaml_too_deep");
    }
    assert_outcome(&fill(": ", 0), "yaml_too_deep");
    let steps: String = (0..1400)
        .map(|step| format!("{}a:\n", " ".repeat(step)))
        .collect();
    assert_outcome(&steps, "yaml_too_deep");
}

#[test]
fn huge_collections_are_rejected() {
    assert_outcome(&fill("- a\n", 0), "yaml_too_many_nodes");
    assert_outcome(&fill("-\n", 0), "yaml_too_many_nodes");
    assert_outcome(&fill("- !a\n", 0), "yaml_too_many_nodes");
    assert_outcome(&fill("- [[a], {b: c}]\n", 0), "yaml_too_many_nodes");
    assert_outcome(&fill("a:\n", 0), "yaml_duplicate_key");
    assert_outcome(&fill("- &a\n", 0), "yaml_duplicate_anchor");
    let keys: String = (0..90_000).map(|key| format!("{key}: 1\n")).collect();
    assert_outcome(&keys, "yaml_too_many_nodes");
    let anchors: String = (0..60_000)
        .map(|anchor| format!("- &a{anchor} x\n"))
        .collect();
    assert_outcome(&anchors, "yaml_too_many_nodes");
}

#[test]
fn huge_flow_collections_are_rejected() {
    for part in [
        "a,", "[],", "a: b,", "? a,", "&a a,", "'a',", "*a,", "!a ,", "&a,", ": ", "&a ",
    ] {
        assert_outcome(&format!("[{}]", fill(part, 2)), "yaml_flow_too_long");
        assert_outcome(&format!("{{{}}}", fill(part, 2)), "yaml_flow_too_long");
    }
    assert_outcome(
        &format!("{}{}", "[".repeat(250), fill("a,", 250)),
        "yaml_flow_too_long",
    );
    let half = "a,".repeat(MAX_BYTES_LIMIT / 5);
    let keys = format!("[{half}{}{half}{}]", "[".repeat(200), "]: x".repeat(200));
    assert_outcome(&keys, "yaml_flow_too_long");
}

#[test]
fn nested_flow_keys_are_validated_in_linear_time() {
    let half = "a,".repeat(1900);
    let item = format!("- [{half}{}{half}{}]\n", "[".repeat(31), "]: x".repeat(31));
    assert_outcome(&fill(&item, 0), "yaml_too_many_nodes");
    assert_outcome(&item.repeat(6), "ok");
}

#[test]
fn largest_allowed_documents_are_validated_in_time() {
    let keys: String = (0..9_990)
        .map(|key| format!("{key}: {{a: [{key}]}}\n"))
        .collect();
    assert_outcome(&keys, "ok");
    assert_outcome(&"- {a: b, 1: 2, c: [d]}\n".repeat(6_200), "ok");
    let aliases = format!("- &a {{x: [y]}}\n{}", "- *a\n".repeat(8_000));
    assert_outcome(&aliases, "ok");
}

#[test]
fn long_scalars_and_blanks_are_validated_in_time() {
    for (text, expected) in [
        (fill("a", 0), "ok"),
        (fill("a ", 0), "ok"),
        (fill("a\n", 0), "ok"),
        (fill("a\n\n\n", 0), "ok"),
        (format!("\"{}\"", fill("a\n", 2)), "ok"),
        (format!("\"{}\"", fill("\\n", 2)), "ok"),
        (format!("'{}'", fill("''", 2)), "ok"),
        (format!("|\n{}", fill(" a\n", 2)), "ok"),
        (format!(">\n{}", fill(" a\n\n", 2)), "ok"),
        (format!("a{}b", fill(" ", 2)), "ok"),
        (fill("# a\n", 0), "yaml_empty"),
        (fill("\n", 0), "yaml_empty"),
        (fill(" ", 0), "yaml_empty"),
        (format!("&{} a", fill("a", 3)), "ok"),
        (format!("!{} a", fill("a", 3)), "ok"),
        (format!("{}: a", fill("a", 3)), "yaml_syntax"),
        (fill(":", 0), "yaml_syntax"),
        (fill("a: ", 0), "yaml_syntax"),
        (fill("'a' ", 0), "yaml_syntax"),
        (fill("\t", 0), "yaml_empty"),
        (fill("&a ", 0), "yaml_syntax"),
        (fill("!a ", 0), "yaml_syntax"),
        (fill("*a ", 0), "yaml_undefined_alias"),
        (fill("...\n", 0), "yaml_flow_too_long"),
        (fill("---\n", 0), "yaml_too_many_nodes"),
        (fill("%TAG !a! b\n", 0), "yaml_directives"),
        (fill("%YAML 1.2\n", 0), "yaml_directives"),
        (fill("\u{feff}", 0), "yaml_unprintable_character"),
        (fill("\r", 0), "yaml_empty"),
    ] {
        assert_outcome(&text, expected);
    }
}

/// Fragments with a meaning in YAML.
#[rustfmt::skip]
const FRAGMENTS: &[&str] = &[
    "a", "b: ", "a: ", "- ", "? ", ": ", ":", "\n", "\n  ", "\n    ", " ", "\t", "\r\n", "\r", "[", "]",
    "{", "}", ", ", ",", "&a ", "&b ", "*a ", "*b", "!t ", "!!str ", "!!int ", "!", "!<x> ", "<<: ", "'",
    "\"", "|\n", ">-\n", "|2\n", "# c\n", "#", "---", "--- ", "\n---\n", "...", "\n...\n", "%YAML 1.2\n",
    "%", "@", "`", "~", "1", "0x1", "-0", ".5", "1e3", ".inf", "null", "true", "\\", "\\x41", "\\u12", "ö",
    "🦀", "\u{feff}", "\u{85}", "\u{a0}", "\0", "'a'", "\"a\"", "[a]", "{a: b}", "a: 1\n", "- a\n",
];

fn yaml_like_text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(FRAGMENTS), 0..40)
        .prop_map(|fragments| fragments.concat())
}

/// Creates a sample with some characters replaced by a YAML fragment.
fn corrupted_sample() -> impl Strategy<Value = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let samples: Vec<String> = fs::read_dir(folder)
        .expect("the folder of samples exists")
        .map(|entry| entry.and_then(|entry| fs::read_to_string(entry.path())))
        .map(|sample| sample.expect("the sample is UTF-8"))
        .collect();
    let fragment = prop::sample::select(FRAGMENTS);
    (
        prop::sample::select(samples),
        any::<prop::sample::Index>(),
        0..4_usize,
        fragment,
    )
        .prop_map(|(sample, at, removed, fragment)| {
            let at = at.index(sample.chars().count());
            let head = sample.chars().take(at);
            let tail = sample.chars().skip(at + removed);
            head.chain(fragment.chars()).chain(tail).collect()
        })
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Content::parse(bytes, DEFAULT_MAX_BYTES) {
        Ok(content) => {
            prop_assert_eq!(content.as_str().as_bytes(), bytes);
            let failed = Parser::new_from_str(content.as_str()).find_map(Result::err);
            prop_assert!(failed.is_none(), "{:?}: {:?}", content, failed);
        }
        Err(rejection) => {
            prop_assert!(!rejection.to_string().is_empty());
            prop_assert!(
                rejection
                    .location()
                    .is_none_or(|at| at.line > 0 && at.column > 0)
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_validated_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_text_is_validated_without_panic(text in ".{0,200}") {
        check(text.as_bytes())?;
    }

    #[test]
    fn yaml_like_text_is_validated_without_panic(text in yaml_like_text()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn corrupted_sample_is_validated_without_panic(text in corrupted_sample()) {
        check(text.as_bytes())?;
    }
}
