//! Golden pairs: the changes between two contents, as a user sees them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spec_service::content::{Content, MAX_BYTES_LIMIT, TreeNode};
use spec_service::diff::{
    ChangeKind, Class, Hints, MAX_CHANGES, ValueChange, ValueChanges, VersionProposal, patch,
    unified,
};

fn documents(text: &str) -> Vec<TreeNode> {
    let content = Content::parse(text.as_bytes(), MAX_BYTES_LIMIT).unwrap();
    content.documents().unwrap()
}

fn changes(before: &str, after: &str, hints: Hints<'_>) -> ValueChanges {
    ValueChanges::new(&patch(&documents(before), &documents(after)), hints)
}

fn line(change: &ValueChange) -> String {
    let mut line = format!("{} {} {}", change.class, change.kind, change.pointer);
    if let Some(from) = &change.from {
        write!(line, " from {from}").unwrap();
    }
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => write!(line, ": {before} -> {after}").unwrap(),
        (Some(value), None) | (None, Some(value)) => write!(line, ": {value}").unwrap(),
        (None, None) => {}
    }
    line
}

fn lines(before: &str, after: &str) -> Vec<String> {
    let changes = changes(before, after, Hints::default());
    changes.list.iter().map(line).collect()
}

fn lines_with(schema: &Value, before: &str, after: &str) -> Vec<String> {
    let changes = changes(before, after, Hints::new(schema));
    changes.list.iter().map(line).collect()
}

#[test]
fn entries_are_added_removed_and_changed() {
    let before = "limit: 250\ncurrency: EUR\nold: true\n";
    let after = "# revised\ncurrency: EUR\nlimit: 300\nnew: [1]\n";
    assert_eq!(
        lines(before, after),
        [
            "breaking removed /old: true",
            "compatible added /new: [1]",
            "compatible changed /limit: 250 -> 300",
        ],
    );
}

#[test]
fn other_kind_of_a_value_is_breaking() {
    assert_eq!(
        lines("a: 1\nb: 1\nc: ~\nd: x\n", "a: '1'\nb: [1]\nc: 1\nd: ~\n"),
        [
            "breaking changed /a: 1 -> \"1\"",
            "breaking changed /b: 1 -> [1]",
            "compatible changed /c: null -> 1",
            "breaking changed /d: \"x\" -> null",
        ],
    );
}

#[test]
fn item_with_an_id_is_followed_to_its_new_place() {
    let before = "steps:\n- {id: a, n: 1}\n- {id: b, n: 1}\n- {id: c, n: 1}\n";
    let after = "steps:\n- {id: c, n: 2}\n- {id: a, n: 1}\n- {id: d, n: 1}\n";
    assert_eq!(
        lines(before, after),
        [
            "breaking removed /steps/1: {\"id\":\"b\",\"n\":1}",
            "compatible moved /steps/0 from /steps/2",
            "compatible changed /steps/0/n from /steps/2/n: 1 -> 2",
            "compatible added /steps/2: {\"id\":\"d\",\"n\":1}",
        ],
    );
}

#[test]
fn equal_items_move_and_the_rest_is_compared_in_order() {
    assert_eq!(
        lines("[a, b, c, d]", "[d, a, B, c]"),
        [
            "compatible moved /0 from /3",
            "compatible changed /2 from /1: \"b\" -> \"B\"",
        ],
    );
    assert_eq!(lines("[a, a, b]", "[a, b]"), ["breaking removed /1: \"a\""]);
    assert_eq!(lines("[a, b]", "[a, b, b]"), ["compatible added /2: \"b\""]);
}

#[test]
fn alias_merge_key_and_number_format_are_cosmetic() {
    let before = "base: &b {x: 1, y: 31}\nuse:\n  <<: *b\n  y: 2\ncopy: *b\n";
    let after = "copy: {y: 0x1F, x: 1}\nbase: {x: 1, y: 31}\nuse: {x: 1, y: 2}\n";
    assert!(lines(before, after).is_empty());
}

#[test]
fn quoted_merge_key_is_an_ordinary_key() {
    assert_eq!(
        lines("'<<': {x: 1}\n", "<<: {x: 1}\n"),
        ["breaking removed /<<: {\"x\":1}", "compatible added /x: 1"],
    );
}

#[test]
fn tag_is_a_part_of_a_value() {
    assert_eq!(
        lines("a: !ref x\n", "a: x\n"),
        ["breaking changed /a: {\"!ref\":\"x\"} -> \"x\""],
    );
}

#[test]
fn change_has_the_locations_of_both_values() {
    let changes = changes(
        "a:\n  b: 1\n",
        "# comment\na:\n    b: 2\n",
        Hints::default(),
    );
    let [change] = &changes.list[..] else {
        panic!("{changes:?}");
    };
    let (before, after) = (change.before_at.unwrap(), change.after_at.unwrap());
    assert_eq!((before.line, before.column), (2, 6));
    assert_eq!((after.line, after.column), (3, 8));
}

#[test]
fn documents_are_compared_by_their_place() {
    let changes = changes(
        "a: 1\n---\nb: 1\n",
        "a: 1\n---\nb: 2\n---\nc\n",
        Hints::default(),
    );
    let found: Vec<_> = changes.list.iter().map(|c| (c.document, line(c))).collect();
    assert_eq!(
        found,
        [
            (2, "compatible changed /b: 1 -> 2".to_owned()),
            (3, "compatible added : \"c\"".to_owned()),
        ],
    );
}

#[test]
fn keys_with_the_same_text_are_refused() {
    let content = Content::parse(b"1: a\n'1': b\n", 2048).unwrap();
    let error = content.documents().unwrap_err();
    assert_eq!(
        (error.code(), error.line()),
        ("yaml_key_collision", Some(2))
    );
}

#[test]
fn schema_classifies_changes() {
    let schema = json!({
        "properties": {
            "notes": { "x-change": "cosmetic" },
            "limits": { "additionalProperties": { "$ref": "#/$defs/limit" } },
            "queues": { "uniqueItems": true },
            "mode": { "default": "strict" },
            "legacy": { "deprecated": true },
        },
        "$defs": { "limit": { "allOf": [{ "x-change": "breaking" }] } },
    });
    let before = "notes: {a: 1}\nlimits: {day: 1}\nqueues: [a, b]\nmode: strict\nlegacy: 1\n";
    let after = "notes: {b: x}\nlimits: {day: 2}\nqueues: [b, a]\n";
    assert_eq!(
        lines_with(&schema, before, after),
        [
            "compatible removed /legacy: 1",
            "cosmetic removed /mode: \"strict\"",
            "breaking changed /limits/day: 1 -> 2",
            "cosmetic removed /notes/a: 1",
            "cosmetic added /notes/b: \"x\"",
            "cosmetic moved /queues/0 from /queues/1",
        ],
    );
}

#[test]
fn recursive_schema_ends() {
    let schema = json!({ "$ref": "#", "allOf": [{ "$ref": "#" }] });
    assert_eq!(
        lines_with(&schema, "a: {b: 1}", "a: {b: 2}"),
        ["compatible changed /a/b: 1 -> 2"],
    );
}

#[test]
fn proposal_follows_the_strongest_change() {
    for (before, after, proposal, next) in [
        ("a: 1", "a: 1", VersionProposal::None, "1.4.2"),
        ("a: 1", "a: 1\nb: 1", VersionProposal::Minor, "1.5.0"),
        ("a: 1\nb: 1", "a: 2", VersionProposal::Major, "2.0.0"),
    ] {
        let class = changes(before, after, Hints::default()).class;
        assert_eq!(class.proposal(), proposal, "{before} {after}");
        assert_eq!(proposal.next("1.4.2").unwrap(), next);
    }
    assert_eq!(Class::Cosmetic.proposal().next("0.0.9").unwrap(), "0.0.10");
    for wrong in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "+1.2.3",
        "a.b.c",
        "1.2.4294967295",
    ] {
        assert!(VersionProposal::Patch.next(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn unified_diff_has_context_and_names() {
    let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n";
    let after = "a: 1\nb: 2\nc: 3\nd: 4\ne: 6";
    assert_eq!(
        unified(before, after, "limits v1", "limits v2"),
        "--- limits v1\n+++ limits v2\n@@ -2,4 +2,4 @@\n b: 2\n c: 3\n d: 4\n-e: 5\n+e: 6\n\\ No newline at end of file\n",
    );
}

#[test]
fn large_contents_are_compared_in_limited_time() {
    let list = |step: usize| {
        (0..40_000)
            .map(|i| format!("- {}\n", i * step % 39_989))
            .collect::<String>()
    };
    let (before, after) = (list(7), list(11));
    let started = Instant::now();
    let changes = changes(&before, &after, Hints::default());
    assert_eq!(changes.list.len(), MAX_CHANGES);
    assert!(changes.total > MAX_CHANGES);
    assert!(unified(&before, &after, "a", "b").starts_with("--- a\n+++ b\n"));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn long_keys_do_not_multiply() {
    let key = "k".repeat(1_000);
    let items = |value: u8| {
        (0..500)
            .map(|i| format!("  {i}: {value}\n"))
            .collect::<String>()
    };
    let nested = |value| {
        (0..8)
            .map(|i| format!("{key}{i}:\n{}", items(value)))
            .collect::<String>()
    };
    let changes = changes(&nested(1), &nested(2), Hints::default());
    assert_eq!(changes.total, 4_000);
    let bytes: usize = changes.list.iter().map(|change| change.pointer.len()).sum();
    assert!(bytes <= (1 << 20) + 2_000, "{bytes}");
    assert!(
        changes
            .list
            .iter()
            .all(|change| change.kind == ChangeKind::Changed)
    );
}
