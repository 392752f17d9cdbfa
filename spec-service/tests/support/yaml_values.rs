//! Random values, written as YAML in different ways.

#![allow(dead_code, reason = "each test program uses a part of the module")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Returns random values with few different parts, so that two of them often have some in common.
pub fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4_i64).prop_map(Value::from),
        Just(json!(0.5)),
        prop_oneof![
            Just("a"),
            Just("b"),
            Just("~/x"),
            Just("1"),
            Just("<<"),
            Just("")
        ]
        .prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        let keys = prop_oneof![
            Just("a"),
            Just("b"),
            Just("id"),
            Just("x/y"),
            Just("~"),
            Just("0")
        ];
        let map = prop::collection::vec((keys, inner.clone()), 0..5);
        let map = map.prop_map(|entries| {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value));
            Value::Object(entries.collect::<Map<_, _>>())
        });
        let items = prop::collection::vec(inner.clone(), 0..6);
        let identified = prop::collection::btree_map(0..6_i64, inner, 0..5);
        let identified = identified.prop_flat_map(|items| {
            let item = |(id, value)| json!({ "id": id, "value": value });
            Just(items.into_iter().map(item).collect::<Vec<_>>()).prop_shuffle()
        });
        prop_oneof![
            map,
            items.prop_map(Value::from),
            identified.prop_map(Value::from)
        ]
    })
}

/// Writes `value` as YAML in block style.
///
/// Each bit of `style` adds a comment, reverses the order of keys, or changes the style of a scalar.
pub fn write(value: &Value, style: u64) -> String {
    let mut writer = Writer {
        style,
        text: String::new(),
    };
    writer.node(value, 0);
    writer.text
}

struct Writer {
    style: u64,
    text: String,
}

impl Writer {
    fn next(&mut self) -> bool {
        self.style = self.style.rotate_left(1);
        self.style & 1 == 1
    }

    fn line(&mut self, depth: usize, text: &str) {
        if self.next() {
            self.text += "\n   # a comment\n";
        }
        self.text += &" ".repeat(depth * 2);
        self.text += text;
        let has_comment = self.next();
        self.text += if has_comment { "   # another\n" } else { "\n" };
    }

    fn node(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    self.line(depth, "-");
                    self.node(item, depth + 1);
                }
            }
            Value::Object(entries) if !entries.is_empty() => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.next() {
                    entries.reverse();
                }
                for (key, value) in entries {
                    self.line(depth, &format!("{}:", json!(key)));
                    self.node(value, depth + 1);
                }
            }
            Value::Null if self.next() => self.line(depth, "~"),
            Value::String(text) if self.next() => self.line(depth, &format!("'{text}'")),
            scalar => self.line(depth, &scalar.to_string()),
        }
    }
}
