//! [`Cursor`]: a place in the list of specifications.

use std::fmt;
use std::str::FromStr;

use factum::Position;

/// A place in the list: after the specification whose creation has this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Position);

/// The error of parsing a [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor: {0:?}; use the cursor of a previous page")]
pub struct InvalidCursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:x}", self.0.get())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let digits = text
            .strip_prefix('p')
            .filter(|digits| !digits.starts_with('+'));
        let position = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        position
            .map(|position| Self(Position::new(position)))
            .ok_or_else(|| InvalidCursor(text.chars().take(40).collect()))
    }
}
