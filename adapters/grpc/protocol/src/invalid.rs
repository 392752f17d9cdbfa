//! [`InvalidMessage`]: a message that violates a rule of the protocol.

/// A message that violates a rule of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: {rule}")]
pub struct InvalidMessage {
    /// The path of the field, for example `streams[0].expected`.
    pub field: String,
    /// The violated rule.
    pub rule: String,
}

impl InvalidMessage {
    /// Creates the error for a field that is required and not set.
    #[must_use]
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "it is required")
    }

    /// Creates the error for a field that violates `rule`.
    #[must_use]
    pub fn new(field: impl Into<String>, rule: impl std::fmt::Display) -> Self {
        Self {
            field: field.into(),
            rule: rule.to_string(),
        }
    }

    /// Returns the error with the path of the message that contains the field.
    #[must_use]
    pub fn within(self, parent: impl std::fmt::Display) -> Self {
        Self {
            field: format!("{parent}.{}", self.field),
            ..self
        }
    }
}
