//! [`Cursor`]: a place between two pages.

use std::fmt;
use std::str::FromStr;

/// A place between two pages, after the item with this number.
///
/// `KIND` is the first character of its text, so that a cursor of another kind of page is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<const KIND: char>(pub u64);

/// The error of parsing a [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor: {0:?}; use the cursor of a previous page")]
pub struct InvalidCursor(String);

impl InvalidCursor {
    /// Creates the error for `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().take(40).collect())
    }
}

impl<const KIND: char> fmt::Display for Cursor<KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND}{:x}", self.0)
    }
}

impl<const KIND: char> FromStr for Cursor<KIND> {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let digits = text
            .strip_prefix(KIND)
            .filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| InvalidCursor::new(text))
    }
}
