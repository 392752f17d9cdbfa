//! [`ValidatorError`]: the reasons why a validator is refused.

use thiserror::Error;

/// The reason why a validator is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValidatorError {
    /// The validator has neither a schema nor a rule.
    #[error("empty validator; give a schema, or at least one rule")]
    Empty,
    /// A part of the validator is too large.
    #[error("too many {what}; the limit is {limit}")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// The maximum number.
        limit: usize,
    },
    /// The schema is not a valid JSON Schema.
    #[error("invalid schema at `{pointer}`: {problem}; the schema must follow JSON Schema 2020-12")]
    Schema {
        /// The JSON pointer to the invalid part of the schema.
        pointer: String,
        /// The problem.
        problem: String,
    },
    /// The schema is of another version of JSON Schema.
    #[error("unknown schema version: {version}; use https://json-schema.org/draft/2020-12/schema")]
    Version {
        /// The value of `$schema`.
        version: String,
    },
    /// A reference does not lead to a part of the schema.
    #[error(
        "invalid reference: {reference:?}; refer to a part of the schema, for example \"#/$defs/limit\""
    )]
    Reference {
        /// The reference, shortened.
        reference: String,
    },
    /// A keyword is not supported, because its cost or its target depends on other documents.
    #[error("keyword not supported: `{keyword}`; refer to parts of the schema with `$ref`")]
    Unsupported {
        /// The keyword.
        keyword: &'static str,
    },
    /// A schema applies itself to the same value.
    #[error(
        "endless reference: a schema applies itself to the same value; refer to it for a part of the value"
    )]
    EndlessReference,
    /// The schema can check one value too often.
    #[error(
        "schema too costly: one value can be checked more than {limit} times; apply fewer schemas to the same value"
    )]
    TooCostly {
        /// The maximum number of checks.
        limit: u64,
    },
    /// A rule is not valid.
    #[error("invalid rule `{rule}`: {problem}")]
    Rule {
        /// The id of the rule, shortened.
        rule: String,
        /// The problem, with the next step.
        problem: String,
    },
}

impl ValidatorError {
    /// Returns the stable error code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "validator_empty",
            Self::TooLarge { .. } => "validator_too_large",
            Self::Schema { .. } => "schema_invalid",
            Self::Version { .. } => "schema_version",
            Self::Reference { .. } => "schema_reference",
            Self::Unsupported { .. } => "schema_unsupported",
            Self::EndlessReference => "schema_endless",
            Self::TooCostly { .. } => "schema_too_costly",
            Self::Rule { .. } => "rule_invalid",
        }
    }
}
