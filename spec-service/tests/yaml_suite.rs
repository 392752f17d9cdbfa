//! The public YAML test suite: no invalid document is accepted, and few valid ones are rejected.

use std::collections::BTreeMap;

use serde::Deserialize;
use spec_service::content::{Content, MAX_BYTES_LIMIT};

/// The cases of <https://github.com/yaml/yaml-test-suite>, which is published under the MIT license.
const SUITE: &str = include_str!("data/yaml-test-suite.json");

/// The valid cases that are rejected, and the code of each rejection.
#[rustfmt::skip]
const REJECTED: &[(&str, &str)] = &[
    // Two empty keys of one mapping are the key `null` twice.
    ("2JQS", "yaml_duplicate_key"),
    // The keys `[a, b]` and `*a`, an alias of it, are equal.
    ("X38W", "yaml_duplicate_key"),
    // Parsers disagree on the node of an alias after its anchor was defined again.
    ("3GZX", "yaml_duplicate_anchor"),
    ("PW8X", "yaml_duplicate_anchor"),
    // Parsers disagree on whether the name of an anchor ends before a `:`.
    ("2SXE", "yaml_anchor_name"),
    ("W5VH", "yaml_anchor_name"),
    ("Y2GN", "yaml_anchor_name"),
    // `[?x]` has the string `?x` in YAML 1.2, and a mapping with the key `x` in YAML 1.1.
    ("HM87-1", "yaml_ambiguous"),
    // No document, or documents without a value: a specification without content.
    ("6XDY", "yaml_empty"),
    ("8G76", "yaml_empty"),
    ("98YD", "yaml_empty"),
    ("AVM7", "yaml_empty"),
    ("DK95-7", "yaml_empty"),
    ("HWV9", "yaml_empty"),
    ("MUS6-2", "yaml_empty"),
    ("MUS6-3", "yaml_empty"),
    ("MUS6-4", "yaml_empty"),
    ("MUS6-5", "yaml_empty"),
    ("MUS6-6", "yaml_empty"),
    ("QT73", "yaml_empty"),
];

#[derive(Deserialize)]
struct Case {
    id: String,
    valid: bool,
    yaml: String,
}

impl Case {
    /// Returns the code of the rejection, if the case is rejected.
    fn rejection(&self) -> Option<&'static str> {
        Content::parse(self.yaml.as_bytes(), MAX_BYTES_LIMIT)
            .err()
            .map(|error| error.code())
    }
}

/// Returns the valid or the invalid cases.
fn cases(valid: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = serde_json::from_str(SUITE).expect("the suite is valid JSON");
    cases.retain(|case| case.valid == valid);
    cases
}

#[test]
fn invalid_cases_of_the_yaml_suite_are_rejected() {
    let invalid = cases(false);
    assert_eq!(invalid.len(), 94);
    for case in invalid {
        assert!(
            case.rejection().is_some(),
            "{} was accepted: {:?}",
            case.id,
            case.yaml
        );
    }
}

#[test]
fn valid_cases_of_the_yaml_suite_are_accepted_but_20() {
    let valid = cases(true);
    assert_eq!(valid.len(), 308);
    let rejected: BTreeMap<&str, &str> = valid
        .iter()
        .filter_map(|case| Some((case.id.as_str(), case.rejection()?)))
        .collect();
    let expected: BTreeMap<&str, &str> = REJECTED.iter().copied().collect();
    assert_eq!(rejected, expected);
    assert_eq!(REJECTED.len(), 20);
}
