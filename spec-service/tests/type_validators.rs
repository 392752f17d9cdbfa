//! Validators of spec types: JSON Schema and rules, with locations and a limited cost.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spec_service::content::{Content, MAX_BYTES_LIMIT, TreeNode};
use spec_service::types::{
    ContentViolation, MAX_VIOLATIONS, RuleSource, Validator, ValidatorSource,
};

fn documents(text: &str) -> Vec<TreeNode> {
    let content = Content::parse(text.as_bytes(), MAX_BYTES_LIMIT).unwrap();
    content.documents().unwrap()
}

fn rule(pointer: &str, expression: &str) -> RuleSource {
    RuleSource {
        id: "rule".to_owned(),
        pointer: (!pointer.is_empty()).then(|| pointer.to_owned()),
        expression: expression.to_owned(),
        message: "broken".to_owned(),
    }
}

fn with_rule(pointer: &str, expression: &str) -> ValidatorSource {
    ValidatorSource {
        schema: None,
        rules: vec![rule(pointer, expression)],
    }
}

fn with_schema(schema: Value) -> ValidatorSource {
    ValidatorSource {
        schema: Some(schema),
        rules: Vec::new(),
    }
}

fn violations(source: &ValidatorSource, text: &str) -> Vec<ContentViolation> {
    Validator::compile(source)
        .unwrap()
        .validate(&documents(text))
}

fn refusal(source: &ValidatorSource) -> &'static str {
    Validator::compile(source).unwrap_err().code()
}

#[test]
fn schema_violation_has_pointer_line_and_column() {
    let schema = with_schema(json!({
        "type": "object",
        "required": ["kind"],
        "properties": { "limits": { "additionalProperties": { "type": "integer", "minimum": 1 } } },
        "additionalProperties": false,
    }));
    let found = violations(
        &schema,
        "# limits\nlimits:\n  day: 0\n  month: x\nother: 1\n",
    );
    let mut found: Vec<String> = found.iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "line 2, column 1, ``: \"kind\" is a required property",
            "line 3, column 8, `/limits/day`: 0 is less than the minimum of 1",
            "line 4, column 10, `/limits/month`: \"x\" is not of type \"integer\"",
            "line 5, column 8, `/other`: the key is not expected",
        ],
    );
}

#[test]
fn every_document_is_validated() {
    let schema = with_schema(json!({ "type": "object" }));
    let found = violations(&schema, "a: 1\n---\n- x\n");
    assert_eq!((found[0].document, found[0].line, found.len()), (2, 3, 1));
}

#[test]
fn rule_checks_each_target() {
    let source = with_rule("/steps/*", "self.required <= size(root.people)");
    let text = "people: [a, b]\nsteps:\n  one: {required: 1}\n  two: {required: 3}\n";
    let found = violations(&source, text);
    let found: Vec<_> = found
        .iter()
        .map(|v| (v.pointer.as_str(), v.line, v.message.as_str()))
        .collect();
    assert_eq!(found, [("/steps/two", 4, "broken")]);
}

#[test]
fn rule_without_a_target_holds() {
    assert!(violations(&with_rule("/steps/*", "false"), "a: 1").is_empty());
}

#[test]
fn macros_of_rules_work() {
    for expression in [
        "self.all(x, x > 0)",
        "self.exists(x, x == 2)",
        "self.exists_one(x, x == 2)",
        "self.map(x, x * 2) == [2, 4, 6]",
        "self.filter(x, x > 1) == [2, 3]",
        "self.map(x, x > 1, x * 2) == [4, 6]",
        "self.all(x, self.exists(y, y == x))",
        "has(root.list)",
        "'abc'.matches('^[a-c]+$')",
        "self == [1, 2, 3] && !(self != [1, 2, 3])",
    ] {
        let found = violations(&with_rule("/list", expression), "list: [1, 2, 3]");
        assert!(found.is_empty(), "{expression}: {found:?}");
    }
}

#[test]
fn rule_that_fails_is_a_violation() {
    for expression in [
        "self.missing > 1",
        "1 / 0 == 1",
        "self.a + 1",
        "unknown(1)",
        "9223372036854775807 + 1 > 0",
    ] {
        let found = violations(&with_rule("", expression), "a: x");
        assert!(
            found[0].message.starts_with("broken (the rule failed: "),
            "{expression}: {found:?}"
        );
    }
}

#[test]
fn hostile_rules_are_refused_or_end() {
    let nested =
        |open: &str, close: &str, count: usize| open.repeat(count) + "1" + &close.repeat(count);
    for expression in [
        nested("(", ")", 490),
        nested("[", "]", 490),
        nested("-", "", 990),
        nested("!", "", 990),
        nested("a.", "", 490),
        nested("1+", "", 490),
        nested("a(", ")", 330),
        nested("{1:", "}", 240),
        nested("true?", ":1", 120),
        "x".repeat(1_001),
        String::new(),
        "self.".to_owned(),
        "\"".to_owned(),
        "\u{0}\u{1F600}".to_owned(),
        "Message{a: 1} == 1".to_owned(),
        "self.all(a, self.all(b, self.all(c, self.all(d, true))))".to_owned(),
    ] {
        match Validator::compile(&with_rule("", &expression)) {
            Err(error) => assert_eq!(error.code(), "rule_invalid", "{expression}"),
            // An even number of signs is no sign.
            Ok(validator) => assert_eq!(
                validator.validate(&documents("a: 1")).len(),
                1,
                "{expression}"
            ),
        }
    }
}

#[test]
fn nested_comprehensions_have_a_limited_cost() {
    let items: String = (0..5_000).map(|i| format!("- {i}\n")).collect();
    for expression in [
        "self.all(a, self.all(b, self.all(c, true)))",
        "self.filter(a, self.filter(b, false).size() > 0).size() == 0",
        "self.map(a, self.map(b, self)).size() > 0",
        "self.exists(a, self.exists(b, self.exists(c, c == -1)))",
        "self.exists_one(a, self.exists_one(b, b == -1))",
    ] {
        let started = Instant::now();
        let found = violations(&with_rule("", expression), &items);
        assert_eq!(found.len(), 1, "{expression}");
        assert!(found[0].message.contains("too many steps"), "{found:?}");
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{expression}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn budget_is_shared_by_all_rules_and_targets() {
    let items: String = (0..1_000).map(|i| format!("- {i}\n")).collect();
    let mut source = with_rule("/*", "root.all(x, x >= 0)");
    source.rules.push(rule("", "true"));
    let found = violations(&source, &items);
    assert_eq!(found.len(), MAX_VIOLATIONS);
}

#[test]
fn schema_with_remote_reference_is_refused() {
    for (schema, code) in [
        (
            json!({ "$ref": "https://example.com/schema.json" }),
            "schema_reference",
        ),
        (
            json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
            "schema_reference",
        ),
        (json!({ "$ref": "other.json#/a" }), "schema_reference"),
        (json!({ "$ref": "#/$defs/missing" }), "schema_reference"),
        (json!({ "$ref": 1 }), "schema_reference"),
        (
            json!({ "$id": "https://example.com/" }),
            "schema_unsupported",
        ),
        (json!({ "$dynamicRef": "#a" }), "schema_unsupported"),
        (
            json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
            "schema_version",
        ),
        (json!({ "$schema": 1 }), "schema_version"),
        (json!({ "type": "integre" }), "schema_invalid"),
        (json!({ "pattern": "(" }), "schema_invalid"),
        (json!({ "pattern": "(?=a)b" }), "schema_invalid"),
        (json!({ "pattern": "(a{1000}){1000}" }), "schema_invalid"),
        (json!(1), "schema_invalid"),
    ] {
        assert_eq!(refusal(&with_schema(schema.clone())), code, "{schema}");
    }
    assert_eq!(refusal(&ValidatorSource::default()), "validator_empty");
}

#[test]
fn endless_schema_is_refused() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "if": { "$ref": "#/$defs/a" } } } }),
    ] {
        assert_eq!(
            refusal(&with_schema(schema.clone())),
            "schema_endless",
            "{schema}"
        );
    }
}

#[test]
fn exponential_schema_is_refused() {
    // Each schema applies the next one twice to the same value.
    let mut definitions = serde_json::Map::new();
    for i in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/s{}", i + 1) });
        definitions.insert(format!("s{i}"), json!({ "allOf": [next, next] }));
    }
    definitions.insert("s40".to_owned(), json!(true));
    let schema = json!({ "$ref": "#/$defs/s0", "$defs": definitions });
    assert_eq!(refusal(&with_schema(schema)), "schema_too_costly");
    // The number of checks doubles with each level of the value.
    for schema in [
        json!({ "allOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } } }] }),
        json!({ "allOf": [{ "additionalProperties": { "$ref": "#" } }, { "additionalProperties": { "$ref": "#" } }] }),
        json!({ "properties": { "a": { "$ref": "#" } }, "patternProperties": { "^a": { "$ref": "#" } } }),
        json!({ "items": { "$ref": "#" }, "contains": { "$ref": "#" } }),
        json!({ "properties": { "a": { "$ref": "#" } }, "allOf": [{ "properties": { "a": { "$ref": "#" } } }] }),
        json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "type": "string" }], "unevaluatedItems": { "$ref": "#" } }),
    ] {
        assert_eq!(
            refusal(&with_schema(schema.clone())),
            "schema_too_costly",
            "{schema}"
        );
    }
}

#[test]
fn recursive_schema_with_one_check_is_accepted() {
    let condition = json!({
        "type": "object",
        "properties": {
            "all": { "type": "array", "items": { "$ref": "#" } },
            "any": { "type": "array", "items": { "$ref": "#" } },
            "not": { "$ref": "#" },
            "matches": { "type": "string" },
        },
        "additionalProperties": false,
    });
    let deep = "{not: ".repeat(40) + "{matches: 1}" + &"}".repeat(40);
    let found = violations(&with_schema(condition), &deep);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "/not".repeat(40) + "/matches");
    // Entries beside named ones are checked by another schema, and do not double the checks.
    let tree =
        json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": { "$ref": "#" } });
    assert!(violations(&with_schema(tree), "a: {b: {a: {}}}").is_empty());
}

#[test]
fn large_content_is_validated_in_limited_time() {
    let items: String = (0..15_000).map(|i| format!("- {{id: {i}}}\n")).collect();
    let schema = with_schema(json!({
        "uniqueItems": true,
        "items": { "anyOf": [{ "required": ["x"] }, { "properties": { "id": { "type": "string" } } }] },
    }));
    let started = Instant::now();
    let found = violations(&schema, &items);
    assert_eq!(found.len(), MAX_VIOLATIONS);
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}
