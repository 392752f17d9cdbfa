//! The name of a specification.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a name.
const MAX_CHARS: usize = 255;

/// What a specification is called: 1 to 255 characters, each an ASCII letter, a digit, `-`, `_` or
/// `.`. Case counts.
///
/// # Examples
///
/// ```
/// # use spec_service::domain::SpecName;
/// let name: SpecName = "refund-limits.v2".parse()?;
/// assert_eq!(name.as_str(), "refund-limits.v2");
/// # Ok::<(), spec_service::domain::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SpecName(String);

impl SpecName {
    /// Takes `name` for a name.
    ///
    /// # Errors
    ///
    /// A [`NameError`] if it is empty, too long, or has a character that no name has.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check(name).map(|()| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule that a name breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no character in it.
    #[error("a name has at least one character")]
    Empty,

    /// It has too many characters.
    #[error("a name has at most {limit} characters, and `{name}` has {actual}")]
    TooLong {
        /// The name, shortened.
        name: String,
        /// The most characters allowed.
        limit: usize,
        /// The characters there are.
        actual: usize,
    },

    /// It has a character that no name has.
    #[error(
        "a name has ASCII letters, digits, `-`, `_` and `.` only: {character:?} in `{name}` is none"
    )]
    Character {
        /// The name, shortened.
        name: String,
        /// The first such character.
        character: char,
    },
}

fn check(name: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let actual = name.chars().count();
    if actual > MAX_CHARS {
        return Err(NameError::TooLong {
            name: shorten(name),
            limit: MAX_CHARS,
            actual,
        });
    }
    match name.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(character) => Err(NameError::Character {
            name: shorten(name),
            character,
        }),
    }
}

/// At most 40 characters, control characters escaped, with an ellipsis where it was cut.
fn shorten(name: &str) -> String {
    let mut chars = name.chars();
    let start: String = chars.by_ref().take(40).collect();
    let cut = if chars.next().is_some() { "…" } else { "" };
    let visible = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    start.chars().map(visible).chain([cut.to_owned()]).collect()
}

impl TryFrom<String> for SpecName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        check(&name).map(|()| Self(name))
    }
}

impl FromStr for SpecName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

impl From<SpecName> for String {
    fn from(name: SpecName) -> Self {
        name.0
    }
}

impl AsRef<str> for SpecName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_dash_underscore_and_dot_make_a_name() {
        for name in ["a", "Refund-Limits_v2.1", ".", "-", "9", &"n".repeat(255)] {
            assert_eq!(SpecName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn an_empty_name_is_rejected() {
        assert_eq!(SpecName::parse(""), Err(NameError::Empty));
    }

    #[test]
    fn a_name_of_256_characters_is_rejected_and_shown_shortened() {
        let rejection = SpecName::parse(&"n".repeat(256)).unwrap_err();
        let shown = format!("{}…", "n".repeat(40));
        assert_eq!(
            rejection.to_string(),
            format!("a name has at most 255 characters, and `{shown}` has 256"),
        );
    }

    #[test]
    fn another_character_is_rejected_by_name() {
        for (name, character) in [("a b", ' '), ("a/b", '/'), ("größe", 'ö'), ("a\n", '\n')] {
            let NameError::Character {
                character: found, ..
            } = SpecName::parse(name).unwrap_err()
            else {
                panic!("{name:?} was rejected for another reason");
            };
            assert_eq!(found, character);
        }
        assert_eq!(
            SpecName::parse("a\nb").unwrap_err().to_string(),
            "a name has ASCII letters, digits, `-`, `_` and `.` only: '\\n' in `a\\nb` is none",
        );
    }

    #[test]
    fn json_is_a_plain_string_and_is_checked() {
        let name: SpecName = serde_json::from_str("\"routing.eu\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"routing.eu\"");
        let rejection = serde_json::from_str::<SpecName>("\"a b\"").unwrap_err();
        assert!(rejection.to_string().contains("`a b`"), "{rejection}");
    }

    #[test]
    fn every_way_in_applies_the_same_rule() {
        assert_eq!(
            "a b".parse::<SpecName>(),
            SpecName::try_from("a b".to_owned())
        );
        assert_eq!("a".parse::<SpecName>().unwrap().to_string(), "a");
        assert_eq!(String::from(SpecName::parse("a").unwrap()), "a");
    }
}
