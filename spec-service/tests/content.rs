//! The validation of contents: accepted and rejected texts, and the locations of errors.

use std::fs;
use std::path::Path;

use spec_service::content::{Content, ContentError, DEFAULT_MAX_BYTES, Location, MAX_BYTES_LIMIT};

fn rejection(text: &str) -> ContentError {
    match Content::parse(text.as_bytes(), MAX_BYTES_LIMIT) {
        Ok(_) => panic!("accepted: {text:?}"),
        Err(rejection) => rejection,
    }
}

fn location(line: usize, column: usize) -> Location {
    Location {
        line,
        column,
        document: Some(1),
    }
}

/// Returns a location in a text that was not read as YAML.
fn location_in_text(line: usize, column: usize) -> Location {
    Location {
        line,
        column,
        document: None,
    }
}

fn accepted(text: &str) -> bool {
    Content::parse(text.as_bytes(), MAX_BYTES_LIMIT).is_ok_and(|content| content.as_str() == text)
}

/// Returns the duplicate key, the location of its second use and the location of its first use.
fn duplicate(text: &str) -> (String, (usize, usize), (usize, usize)) {
    match rejection(text) {
        ContentError::DuplicateKey { key, at, first, .. } => {
            (key, (at.line, at.column), (first.line, first.column))
        }
        other => panic!("{text:?} was rejected for another reason: {other}"),
    }
}

#[test]
fn samples_are_accepted_with_default_limits() {
    let mut samples = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let content = Content::parse(&bytes, DEFAULT_MAX_BYTES)
            .unwrap_or_else(|rejection| panic!("{}: {rejection}", path.display()));
        assert!(
            content.as_str().starts_with("# "),
            "{} has no comment at its start",
            path.display()
        );
        assert!(
            (300..=2048).contains(&bytes.len()),
            "{}: {} bytes",
            path.display(),
            bytes.len()
        );
        samples += 1;
    }
    assert!((14..=16).contains(&samples), "{samples} samples");
}

#[test]
fn content_keeps_exact_bytes() {
    for text in [
        "a: 1",
        "a: 1\r\nb: 2\r\n",
        "---\na: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "# head\n\na:   'x'   # tail\n\n",
        "größe: ½ 🦀\n",
        "plain scalar",
        "[]",
        "''",
        "null",
    ] {
        let content = Content::parse(text.as_bytes(), DEFAULT_MAX_BYTES).unwrap();
        assert_eq!(content.as_str(), text);
        assert_eq!(content.to_string(), text);
    }
}

#[test]
fn deserialized_content_is_not_validated() {
    let content = Content::parse(b"a: \"1\"\n", DEFAULT_MAX_BYTES).unwrap();
    let json = serde_json::to_string(&content).unwrap();
    assert_eq!(json, r#""a: \"1\"\n""#);
    assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content);
    assert_eq!(
        serde_json::from_str::<Content>("\"a: [\"")
            .unwrap()
            .as_str(),
        "a: ["
    );
}

#[test]
fn content_size_limit_is_inclusive() {
    let text = format!("a: {}", "x".repeat(DEFAULT_MAX_BYTES - 3));
    assert!(Content::parse(text.as_bytes(), DEFAULT_MAX_BYTES).is_ok());
    assert_eq!(
        Content::parse(format!("{text}x").as_bytes(), DEFAULT_MAX_BYTES),
        Err(ContentError::TooLong {
            limit: 2048,
            actual: 2049
        }),
    );
}

#[test]
fn content_size_limit_is_capped_at_one_mebibyte() {
    let text = "x".repeat(MAX_BYTES_LIMIT + 1);
    assert_eq!(
        Content::parse(text.as_bytes(), usize::MAX),
        Err(ContentError::TooLong {
            limit: 1_048_576,
            actual: 1_048_577
        }),
    );
}

#[test]
fn content_without_document_is_rejected() {
    for text in [
        "",
        "\n",
        "  \n\t\n",
        "# a\n",
        "---\n",
        "---\n# a\n...\n",
        "---\n---\n---\n",
        "...\n",
    ] {
        assert_eq!(rejection(text), ContentError::Empty, "{text:?}");
    }
}

#[test]
fn several_documents_are_accepted() {
    for text in [
        "a: 1\n---\nb: 2\n",
        "---\na: 1\n---\na: 1\n",
        "a\n--- \nb\n",
        "a: 1\n...\nb: 2\n",
        "a: 1\n---\n",
        "---\n---\na: 1\n",
        "a: &x 1\n---\nb: &x 2\nc: *x\n",
        "--- |\ntext\n---\na: 1\n",
        "%TAG ! tag:example.com,2000:\n---\na: !x 1\n...\n%TAG ! tag:example.org,2000:\n---\na: !x 1\n",
        "apiVersion: v1\nkind: Namespace\n---\n# the account\napiVersion: v1\nkind: ServiceAccount\n",
    ] {
        assert!(
            accepted(text),
            "{text}: {:?}",
            Content::parse(text.as_bytes(), 2_048)
        );
    }
}

#[test]
fn each_document_is_checked_and_numbered() {
    for (text, code, at) in [
        ("a: 1\n---\nb: 2\nb: 3\n", "yaml_duplicate_key", (4, 1, 2)),
        ("a: 1\n---\nb: [\n", "yaml_syntax", (4, 1, 2)),
        ("a: 1\n...\n[b, c\n", "yaml_syntax", (4, 1, 2)),
        (
            "a: 1\n---\n---\nb: !!int x\n",
            "yaml_tag_mismatch",
            (4, 4, 3),
        ),
        ("a: &x 1\n---\nb: *x\n", "yaml_undefined_alias", (3, 4, 2)),
        (
            "a: &x 1\n---\nb: &y [*y]\n",
            "yaml_recursive_alias",
            (3, 8, 2),
        ),
        (
            "a: 1\n---\nb: &y 1\nc: &y 2\n",
            "yaml_duplicate_anchor",
            (4, 4, 2),
        ),
        ("a\n---\nb:\tc\n", "yaml_tab_after_colon", (3, 4, 2)),
        (
            "a: 1\n---\nb: 2\n%YAML 1.2\n---\nc: 3\n",
            "yaml_syntax",
            (4, 1, 2),
        ),
    ] {
        let rejection = rejection(text);
        let (line, column, document) = at;
        let expected = Location {
            line,
            column,
            document: Some(document),
        };
        assert_eq!(
            (rejection.code(), rejection.location()),
            (code, Some(expected)),
            "{text:?}: {rejection}"
        );
    }
    assert_eq!(
        rejection("a: 1\n---\nb: 2\nb: 3\n").to_string(),
        "document 2, line 4, column 1: duplicate key `b`; first used at line 3, column 1",
    );
    assert_eq!(
        rejection("a: 1\n---\n[!t :a]"),
        ContentError::Ambiguous {
            document: 2,
            expected: 2,
            actual: 3
        }
    );
}

#[test]
fn limits_apply_to_all_documents_together() {
    let nodes = |documents| "--- a\n".repeat(documents);
    assert!(accepted(&nodes(50_000)));
    assert_eq!(rejection(&nodes(50_001)).code(), "yaml_too_many_nodes");
    let document = format!("---\n- &a {}\n{}", "x".repeat(999), "- *a\n".repeat(25));
    assert!(accepted(&document.repeat(2)));
    assert_eq!(
        rejection(&document.repeat(3)).code(),
        "yaml_alias_expansion"
    );
}

#[test]
fn escape_of_a_surrogate_pair_is_named() {
    let text = r#"a: "\\uD83D \u00e4 \ud83d\ude00""#;
    let escape = ContentError::InvalidEscape {
        at: location(1, 4),
        escape: r"\ud83d".to_owned(),
    };
    assert_eq!(rejection(text), escape);
    assert_eq!(escape.code(), "yaml_invalid_escape");
    assert_eq!(rejection(r#""\UFFFFFFFF""#).code(), "yaml_invalid_escape");
    assert!(accepted(r#"a: "\U0001F600""#));
}

#[test]
fn invalid_utf8_is_rejected_with_its_location() {
    assert_eq!(
        Content::parse(b"a: 1\r\n\xc3\xb6: \xff\n", DEFAULT_MAX_BYTES),
        Err(ContentError::NotUtf8 {
            at: location_in_text(2, 4),
            offset: 10
        }),
    );
    assert_eq!(
        Content::parse(b"\xff\xfea\0", DEFAULT_MAX_BYTES)
            .unwrap_err()
            .code(),
        "content_not_utf8",
    );
}

#[test]
fn unprintable_and_ambiguous_characters_are_rejected() {
    for character in [
        '\0', '\u{7}', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}',
    ] {
        assert_eq!(
            rejection(&format!("a: 1\nb: 'ö{character}'\n")),
            ContentError::Unprintable {
                at: location_in_text(2, 6),
                character
            },
        );
    }
    assert!(accepted(r#"a: "\u2028\0""#));
}

#[test]
fn syntax_errors_have_line_and_column() {
    for (text, line, column) in [
        ("a: [1, 2\n", 2, 1),
        ("a: 1\nb: 2: 3\n", 2, 5),
        ("a: 1\n b: 2\n", 2, 3),
        ("a: \"open\n", 1, 4),
        ("a:\n\t- 1\n", 2, 2),
        ("a: @b\n", 1, 4),
        ("{a: 1]\n", 1, 6),
        ("a: !x!y z\n", 1, 4),
        ("größe: 1: 2\n", 1, 9),
    ] {
        let rejection = rejection(text);
        assert_eq!(
            (rejection.code(), rejection.line(), rejection.column()),
            ("yaml_syntax", Some(line), Some(column)),
            "{text:?}: {rejection}",
        );
    }
}

#[test]
fn duplicate_key_is_reported_with_both_locations() {
    let key = |key: &str, at, first| (key.to_owned(), at, first);
    assert_eq!(duplicate("a: 1\na: 2\n"), key("a", (2, 1), (1, 1)));
    assert_eq!(duplicate("{a: 1, b: 2, a: 3}"), key("a", (1, 14), (1, 2)));
    assert_eq!(
        duplicate("x:\n  - y:\n      k: 1\n      k: 2\n"),
        key("k", (4, 7), (3, 7))
    );
    assert_eq!(
        duplicate("x: [{k: 1, 'k': 2}]\n"),
        key("k", (1, 12), (1, 6))
    );
    assert_eq!(duplicate("? a\n: 1\n? a\n"), key("a", (3, 3), (1, 3)));
    assert_eq!(
        rejection("a: 1\na: 2\n").to_string(),
        "line 2, column 1: duplicate key `a`; first used at line 1, column 1",
    );
}

#[test]
fn duplicate_keys_are_compared_by_value() {
    for text in [
        "a: 1\n\"a\": 2\n",
        "'a': 1\n\"\\x61\": 2\n",
        "a: 1\n!!str a: 2\n",
        "!!str 1: 1\n'1': 2\n",
        "1: 1\n0x1: 2\n",
        "8: 1\n0o10: 2\n",
        "-0: 1\n0: 2\n",
        "1.0: 1\n1.00: 2\n",
        "1e3: 1\n1000.0: 2\n",
        ".inf: 1\n.Inf: 2\n",
        "~: 1\nnull: 2\n",
        ": 1\n~: 2\n",
        "true: 1\nTrue: 2\n",
        "<<: {a: 1}\n<<: {b: 1}\n",
        "&k a: 1\n*k : 2\n",
        "? [a, 1]\n: 1\n? ['a', 0x1]\n: 2\n",
        "? {a: 1, b: 2}\n: 1\n? {b: 2, a: 1}\n: 2\n",
        "? &k [a]\n: 1\n? *k\n: 2\n",
        "a: 1\n? |-\n  a\n: 2\n",
    ] {
        assert_eq!(rejection(text).code(), "yaml_duplicate_key", "{text:?}");
    }
}

#[test]
fn distinct_keys_are_accepted() {
    for text in [
        "1: a\n'1': b\n",
        "true: a\n'true': b\n",
        "~: a\n'': b\n",
        "1: a\n1.0: b\n",
        "007: a\n7: b\n",
        "a: 1\nA: 2\n",
        "a: {k: 1}\nb: {k: 1}\n",
        "!x a: 1\na: 2\n",
        "? [a, b]\n: 1\n? [b, a]\n: 2\n",
        "base: &base {a: 1}\nuse:\n  <<: *base\n  a: 2\n",
    ] {
        assert!(accepted(text), "{text:?}: {}", rejection(text));
    }
}

#[test]
fn alias_requires_one_earlier_anchor() {
    let name = || "who".to_owned();
    assert_eq!(
        rejection("a: 1\nb: [*who]\n"),
        ContentError::UndefinedAlias {
            at: location(2, 5),
            alias: name()
        },
    );
    assert_eq!(
        rejection("a: &who\n  - [*who]\n"),
        ContentError::RecursiveAlias {
            at: location(2, 6),
            alias: name()
        },
    );
    assert_eq!(
        rejection("a: &who 1\nb: !x # y\n  &who 2\n"),
        ContentError::DuplicateAnchor {
            at: location(2, 4),
            first: location(1, 4),
            anchor: name()
        },
    );
    assert_eq!(
        rejection("a: &who: 1\n"),
        ContentError::AnchorName {
            at: location(1, 4),
            anchor: "who:".to_owned()
        },
    );
    assert_eq!(rejection("a: &a?b 1\n").code(), "yaml_anchor_name");
    assert!(accepted("a: &a.b/ü 1\nb: *a.b/ü\n"));
    assert!(accepted(
        "ö: &who-1_A {x: y}\nb: *who-1_A\nc: [*who-1_A, !t &w z, *w]\n"
    ));
}

#[test]
fn nesting_limit_of_64_includes_aliases() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(accepted(&nested(64)));
    assert_eq!(
        rejection(&nested(65)),
        ContentError::TooDeep {
            at: location(1, 65),
            limit: 64
        }
    );
    assert_eq!(rejection(&nested(300)).code(), "yaml_too_deep");
    let aliased = |depth: usize| format!("- &a {}\n- [*a]\n", nested(depth));
    assert!(accepted(&aliased(62)));
    assert_eq!(rejection(&aliased(63)).code(), "yaml_too_deep");
}

#[test]
fn alias_expansion_is_limited_to_50_000() {
    // Each alias expands to one node and 999 bytes of text.
    let text = |aliases: usize| format!("- &a {}\n{}", "x".repeat(999), "- *a\n".repeat(aliases));
    assert!(accepted(&text(50)));
    assert_eq!(
        rejection(&text(51)),
        ContentError::AliasExpansion {
            at: location(52, 3),
            limit: 50_000,
            actual: 51_000
        },
    );
}

#[test]
fn document_is_limited_to_50_000_nodes() {
    assert!(accepted(&"- a\n".repeat(49_999)));
    assert_eq!(
        rejection(&"- a\n".repeat(50_000)),
        ContentError::TooManyNodes {
            at: location(50_000, 3),
            limit: 50_000
        },
    );
}

#[test]
fn flow_collection_is_limited_to_8192_tokens() {
    assert!(accepted(&format!("[{}]", "a,".repeat(4_000))));
    assert_eq!(
        rejection(&format!("[{}]", "a,".repeat(5_000))).code(),
        "yaml_flow_too_long"
    );
}

#[test]
fn directives_are_limited() {
    let tags = |count: usize| {
        let tags = (0..count).map(|number| format!("%TAG !t{number}! tag:example.org,2026:\n"));
        format!("# x\n{}---\na: !t1!x 1\n", tags.collect::<String>())
    };
    assert!(accepted(&tags(16)));
    let at = location_in_text(18, 1);
    assert_eq!(rejection(&tags(17)), ContentError::Directives { at });
    let long = |length| format!("%FOO {}\n--- a\n", "x".repeat(length));
    assert!(accepted(&long(251)));
    let at = location_in_text(1, 1);
    assert_eq!(rejection(&long(252)), ContentError::Directives { at });
    assert!(accepted("a: |\n  x\n  %TAG in a text\n"));
    let several = |documents| "%YAML 1.2\n--- a\n...\n".repeat(documents);
    assert!(accepted(&several(16)));
    let at = location_in_text(49, 1);
    assert_eq!(rejection(&several(17)), ContentError::Directives { at });
    assert!(accepted(&format!("--- |\n{}", "%a\n".repeat(20))));
}

/// YAML 1.2 that a reader of YAML 1.1 cannot read.
#[test]
fn valid_yaml_of_version_1_2_is_accepted() {
    for text in [
        "limit_wei: 100000000000000000000\nid: 0x10000000000000000\nlow: -9223372036854775809\n",
        "n: 340282366920938463463374607431768211456\n",
        "n: !!int 340282366920938463463374607431768211456\n",
        "\u{feff}a: 1\n",
        "a:\t'1'\n",
        "a: 1\n\t\nb: 2\n",
        "m: |\n  \tcc x\n",
        ": a\n",
        "a: !!null\n",
        "%TAG !e! tag:example.com,2000:app/\n---\na: !e!x 1\n",
        "%FOO bar # ignored\n--- a\n",
        "%YAML 1.3\n--- a\n",
        "{a, b: c, \"d\":e}\n",
        "[a, [b, c]: d]\n",
        "{\"a\"\n:1}\n",
        "- url: http://a.example/?b=c,d\n- {x: http://a.example}\n",
        "--- |\n x\n",
    ] {
        assert!(
            accepted(text),
            "{text}: {:?}",
            Content::parse(text.as_bytes(), 2_048)
        );
    }
}

#[test]
fn tab_after_colon_is_named() {
    for text in ["a:\t1\n", "a:\tb\n", "a:\tb: c\n"] {
        let at = location(1, 4);
        assert_eq!(
            rejection(text),
            ContentError::TabAfterColon { at },
            "{text}"
        );
    }
    assert_eq!(rejection("a:\t1\n").code(), "yaml_tab_after_colon");
}

#[test]
fn byte_order_mark_is_not_a_column() {
    let duplicate = rejection("\u{feff}{a: 1, a: 2}\n");
    assert_eq!(duplicate.location(), Some(location(1, 8)));
    assert_eq!(rejection("\u{feff}").code(), "yaml_empty");
    assert_eq!(
        rejection("\u{feff}\u{feff}a: 1\n").code(),
        "yaml_unprintable_character"
    );
    assert_eq!(
        rejection("a: 1\n\u{feff}b: 2\n").code(),
        "yaml_unprintable_character"
    );
}

#[test]
fn scalar_must_have_the_type_of_its_tag() {
    for value in [
        "!!int 01",
        "!!int 0x1F",
        "!!int -7",
        "!!float 1",
        "!!float 1e999",
        "!!float .inf",
        "!!bool True",
        "!!null ~",
        "!!str 1",
    ] {
        assert!(accepted(&format!("a: {value}\n")), "{value}");
    }
    for value in [
        "!!int x",
        "!!int 1.5",
        "!!int 0x",
        "!!float x",
        "!!bool 1",
        "!!null 0",
    ] {
        let mismatch = rejection(&format!("a: 1\nb: {value}\n"));
        assert_eq!(
            (mismatch.code(), mismatch.line()),
            ("yaml_tag_mismatch", Some(2)),
            "{value}"
        );
    }
}

#[test]
fn ambiguous_text_is_rejected() {
    assert_eq!(
        rejection("[!t :a]"),
        ContentError::Ambiguous {
            document: 1,
            expected: 2,
            actual: 3
        }
    );
}

#[test]
fn error_messages_shorten_quoted_text() {
    let long = "x".repeat(50_000);
    for text in [
        format!("{long}: 1\n{long}: 2\n"),
        format!("a: !!int {long}\n"),
        format!("a: *{long}\n"),
        format!("%{long}\n"),
        format!("? {long}\n: 1\n? {long}\n"),
    ] {
        let message = rejection(&text).to_string();
        assert!(
            message.chars().count() < 300 && !message.contains('\n'),
            "{message}"
        );
    }
}
