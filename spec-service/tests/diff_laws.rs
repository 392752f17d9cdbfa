//! The laws of differences, for random contents.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/yaml_values.rs"]
mod yaml_values;

use proptest::prelude::*;
use serde_json::Value;
use spec_service::content::{Content, TreeNode};
use spec_service::diff::{Class, Hints, ValueChanges, patch, unified};
use yaml_values::{values, write};

fn documents(text: &str) -> Vec<TreeNode> {
    let content =
        Content::parse(text.as_bytes(), 1 << 20).unwrap_or_else(|e| panic!("{e}\n{text}"));
    content.documents().unwrap()
}

/// Applies a unified difference to `before`, as `patch` does.
fn apply_unified(before: &str, diff: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let (mut new, mut next) = (String::new(), 0);
    let mut lines = diff.split_inclusive('\n').skip(2).peekable();
    while let Some(line) = lines.next() {
        if let Some(hunk) = line.strip_prefix("@@ -") {
            let range = hunk.split([' ', ',']).collect::<Vec<_>>();
            let start: usize = range[0].parse().unwrap();
            // A hunk without old lines names the line before it.
            let is_insertion = range[1] == "0";
            let start = if is_insertion { start } else { start - 1 };
            while next < start {
                new += old[next];
                next += 1;
            }
            continue;
        }
        let (sign, mut text) = line.split_at(1);
        if lines.peek().is_some_and(|line| line.starts_with('\\')) {
            lines.next();
            text = text.strip_suffix('\n').unwrap();
        }
        match sign {
            " " => {
                assert_eq!(old[next], text);
                new += text;
                next += 1;
            }
            "-" => {
                assert_eq!(old[next], text);
                next += 1;
            }
            "+" => new += text,
            other => panic!("unknown sign {other:?} in {diff}"),
        }
    }
    new + &old[next..].concat()
}

/// Returns a copy of `value` with the items of its lists in another order.
fn rotated(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(rotated).collect();
            if !items.is_empty() {
                items.rotate_left(1);
            }
            Value::Array(items)
        }
        Value::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), rotated(value)));
            Value::Object(entries.collect())
        }
        scalar => scalar.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tree_is_the_written_value(value in values(), style: u64) {
        let documents = documents(&write(&value, style));
        prop_assert_eq!(documents.len(), 1);
        prop_assert_eq!(documents[0].to_json(), value);
    }

    #[test]
    fn diff_of_equal_contents_is_empty(value in values(), style: u64) {
        let documents = documents(&write(&value, style));
        prop_assert!(patch(&documents, &documents).is_empty());
    }

    #[test]
    fn comments_order_of_keys_and_style_are_cosmetic(value in values(), one: u64, two: u64) {
        let (a, b) = (documents(&write(&value, one)), documents(&write(&value, two)));
        prop_assert!(patch(&a, &b).is_empty());
    }

    #[test]
    fn applied_patch_gives_the_other_content(a in values(), b in values(), style: u64) {
        let (a, b) = (documents(&write(&a, style)), documents(&write(&b, style.rotate_left(7))));
        let patch = patch(&a, &b);
        prop_assert_eq!(patch.is_empty(), a == b);
        prop_assert_eq!(patch.apply(&a).unwrap(), b);
    }

    #[test]
    fn applied_patch_moves_the_items_of_lists(a in values()) {
        let b = documents(&write(&rotated(&a), 0));
        let a = documents(&write(&a, 0));
        prop_assert_eq!(patch(&a, &b).apply(&a).unwrap(), b);
    }

    #[test]
    fn patch_is_refused_by_another_content(a in values(), b in values(), c in values()) {
        let [a, b, c] = [a, b, c].map(|value| documents(&write(&value, 0)));
        // A patch that fits must at least give the same as for its own content, if that is an equal one.
        if let Ok(patched) = patch(&a, &b).apply(&c) {
            prop_assert!(a != c || patched == b);
        }
    }

    #[test]
    fn documents_are_added_and_removed(a in prop::collection::vec(values(), 1..4),
                                       b in prop::collection::vec(values(), 1..4)) {
        let [a, b] = [a, b].map(|values| {
            let text: String = values.iter().map(|value| format!("---\n{}", write(value, 0))).collect();
            documents(&text)
        });
        prop_assert_eq!(patch(&a, &b).apply(&a).unwrap(), b);
    }

    #[test]
    fn changes_point_to_values(a in values(), b in values()) {
        let (a, b) = (documents(&write(&a, 0)), documents(&write(&b, 0)));
        let changes = ValueChanges::new(&patch(&a, &b), Hints::default());
        prop_assert_eq!(changes.list.is_empty(), a == b);
        prop_assert_eq!(changes.class == Class::Identical, a == b);
        for change in &changes.list {
            let value = |nodes: &[TreeNode], pointer: &str| {
                nodes.get(change.document - 1).and_then(|node| node.to_json().pointer(pointer).cloned())
            };
            if change.before.is_some() {
                let pointer = change.from.as_ref().unwrap_or(&change.pointer);
                prop_assert_eq!(&value(&a, pointer), &change.before, "{:?}", change);
            }
            if change.after.is_some() {
                prop_assert_eq!(&value(&b, &change.pointer), &change.after, "{:?}", change);
            }
        }
    }

    #[test]
    fn applied_unified_diff_gives_the_other_text(a in values(), b in values(), style: u64) {
        let (a, b) = (write(&a, style), write(&b, style.rotate_left(9)));
        let b = if style & 1 == 1 { b.trim_end().to_owned() } else { b };
        let diff = unified(&a, &b, "a", "b");
        prop_assert_eq!(diff.is_empty(), a == b);
        prop_assert_eq!(apply_unified(&a, &diff), b);
    }
}
