//! [`ValidatorSource`]: a validator as it is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The source of a validator: a JSON Schema, rules in CEL, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSource {
    /// The JSON Schema 2020-12 of each document of a content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// The rules that each document must follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleSource>,
}

/// The source of a rule in CEL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSource {
    /// The id, for example `board-needs-two`.
    pub id: String,
    /// The JSON pointer to the value that the rule checks.
    ///
    /// A step `*` means every item or entry. Without a pointer, the rule checks the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The expression, which must be true. `self` is the value, and `root` is the document.
    pub expression: String,
    /// The message if the expression is not true.
    pub message: String,
}
