//! [`InvalidField`]: a field of a request that violates a rule of every store.

use std::borrow::Cow;

/// The maximum number of characters of a value that an error quotes.
const MAX_QUOTED: usize = 80;

/// A field of a request that violates a rule of every store.
///
/// The rules are checked before a store uses the request, so that every store has the same limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// A field has too many bytes.
    #[error("{field} is too large: {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The field.
        field: Cow<'static, str>,
        /// The size of the field, in bytes.
        bytes: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// A list has too many elements.
    #[error("too many {field}: {count}; the limit is {limit}")]
    TooMany {
        /// The elements of the list.
        field: &'static str,
        /// The number of elements.
        count: usize,
        /// The maximum number of elements.
        limit: usize,
    },
    /// A text is empty, or contains characters that are not allowed.
    #[error("invalid {field} {value:?}: {rule}")]
    Text {
        /// The field.
        field: &'static str,
        /// The text, truncated to 80 characters.
        value: String,
        /// The violated rule.
        rule: &'static str,
    },
    /// JSON is nested so deeply that no reader accepts it.
    #[error(
        "{field} is nested too deeply; JSON may have at most {limit} levels of arrays and objects"
    )]
    TooDeep {
        /// The field.
        field: Cow<'static, str>,
        /// The maximum number of levels.
        limit: usize,
    },
}

impl InvalidField {
    /// Creates the error for a text that violates `rule`.
    #[must_use]
    pub fn text(field: &'static str, value: &str, rule: &'static str) -> Self {
        Self::Text {
            field,
            value: value.chars().take(MAX_QUOTED).collect(),
            rule,
        }
    }
}

/// Checks that a list has at most `limit` elements.
pub fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), InvalidField> {
    match count > limit {
        true => Err(InvalidField::TooMany {
            field,
            count,
            limit,
        }),
        false => Ok(()),
    }
}

/// Checks that a field has at most `limit` bytes.
pub fn check_size(field: &'static str, bytes: usize, limit: usize) -> Result<(), InvalidField> {
    match bytes > limit {
        true => Err(InvalidField::TooLarge {
            field: field.into(),
            bytes,
            limit,
        }),
        false => Ok(()),
    }
}

/// Checks that a text has at most `limit` bytes and no control characters.
pub fn check_text(field: &'static str, value: &str, limit: usize) -> Result<(), InvalidField> {
    check_size(field, value.len(), limit)?;
    match has_control_characters(value) {
        true => Err(InvalidField::text(
            field,
            value,
            "control characters are not allowed",
        )),
        false => Ok(()),
    }
}

/// Checks that a name has 1 to `limit` bytes and no control characters.
pub fn check_name(field: &'static str, value: &str, limit: usize) -> Result<(), InvalidField> {
    match value.is_empty() {
        true => Err(InvalidField::text(field, value, "it must not be empty")),
        false => check_text(field, value, limit),
    }
}

/// Checks that a text does not contain U+0000, which not every database can store.
pub fn check_no_nul(field: &'static str, text: &str) -> Result<(), InvalidField> {
    match text.contains('\0') {
        true => Err(InvalidField::text(
            field,
            text,
            "the character U+0000 is not allowed",
        )),
        false => Ok(()),
    }
}

fn has_control_characters(text: &str) -> bool {
    // Fast path: most names are printable ASCII.
    !text.bytes().all(|byte| byte.is_ascii_graphic()) && text.contains(char::is_control)
}
