//! [`SpecName`] and [`QualifiedName`]: the name of a specification, alone and with its tenant and namespace.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::domain::{NamespaceId, TenantId};

/// The maximum number of characters of a name.
const MAX_CHARS: usize = 255;

/// The name of a specification.
///
/// A name has 1 to 255 characters: ASCII letters, digits, `-`, `_` and `.`. It is case-sensitive.
///
/// # Examples
///
/// ```
/// # use spec_service::specs::domain::SpecName;
/// let name: SpecName = "refund-limits.v2".parse()?;
/// assert_eq!(name.as_str(), "refund-limits.v2");
/// # Ok::<(), spec_service::specs::domain::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct SpecName(String);

impl SpecName {
    /// Validates `name`.
    ///
    /// # Errors
    ///
    /// Returns a [`NameError`] if the name is empty, too long, or has an invalid character.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        validate(name).map(|()| Self(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The complete name of a specification: its tenant, its namespace and its name there.
///
/// The names of specifications that are not deleted are unique. Two tenants or two namespaces can have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct QualifiedName {
    /// The tenant.
    pub tenant: TenantId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The name in the namespace.
    pub name: SpecName,
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No part contains `/`, so no two paths have the same text.
        write!(f, "{}/{}/{}", self.tenant, self.namespace, self.name)
    }
}

/// The error of [`SpecName::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("empty name; a name has 1 to {MAX_CHARS} characters")]
    Empty,

    /// The name has too many characters.
    #[error("name too long: `{name}` has {actual} characters; the limit is {limit}")]
    TooLong {
        /// The name, shortened.
        name: String,
        /// The maximum number of characters.
        limit: usize,
        /// The number of characters.
        actual: usize,
    },

    /// The name has an invalid character.
    #[error(
        "invalid character {character:?} in name `{name}`; allowed are ASCII letters, digits, `-`, `_` and `.`"
    )]
    Character {
        /// The name, shortened.
        name: String,
        /// The first invalid character.
        character: char,
    },
}

fn validate(name: &str) -> Result<(), NameError> {
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

/// Shortens `name` to 40 characters and an ellipsis, and escapes control characters.
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
        validate(&name).map(|()| Self(name))
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
    fn name_accepts_letters_digits_and_punctuation() {
        for name in ["a", "Refund-Limits_v2.1", ".", "-", "9", &"n".repeat(255)] {
            assert_eq!(SpecName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn name_must_not_be_empty() {
        assert_eq!(SpecName::parse(""), Err(NameError::Empty));
    }

    #[test]
    fn name_of_256_characters_is_rejected_and_shortened() {
        let rejection = SpecName::parse(&"n".repeat(256)).unwrap_err();
        let shown = format!("{}…", "n".repeat(40));
        assert_eq!(
            rejection.to_string(),
            format!("name too long: `{shown}` has 256 characters; the limit is 255"),
        );
    }

    #[test]
    fn name_error_names_the_invalid_character() {
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
            "invalid character '\\n' in name `a\\nb`; allowed are ASCII letters, digits, `-`, `_` and `.`",
        );
    }

    #[test]
    fn name_is_validated_when_deserialized() {
        let name: SpecName = serde_json::from_str("\"routing.eu\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"routing.eu\"");
        let rejection = serde_json::from_str::<SpecName>("\"a b\"").unwrap_err();
        assert!(rejection.to_string().contains("`a b`"), "{rejection}");
    }

    #[test]
    fn name_conversions_apply_the_same_rule() {
        assert_eq!(
            "a b".parse::<SpecName>(),
            SpecName::try_from("a b".to_owned())
        );
        assert_eq!("a".parse::<SpecName>().unwrap().to_string(), "a");
        assert_eq!(String::from(SpecName::parse("a").unwrap()), "a");
    }
}
