//! Spec types: what the contents of a kind of specification must look like.

mod domain;

pub use domain::{
    ContentViolation, MAX_RULES, MAX_SCHEMA_BYTES, MAX_VIOLATIONS, RuleSource, Validator,
    ValidatorError, ValidatorSource,
};
