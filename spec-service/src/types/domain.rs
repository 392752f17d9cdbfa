//! The rules of spec types, independent of tokio, SQL and HTTP.

mod error;
mod rule;
mod schema_cost;
mod source;
mod validator;

pub use error::ValidatorError;
pub use source::{RuleSource, ValidatorSource};
pub use validator::{ContentViolation, MAX_RULES, MAX_SCHEMA_BYTES, MAX_VIOLATIONS, Validator};
