//! [`TenantId`] and [`NamespaceId`]: who owns a specification, and where it belongs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The tenant and the namespace of callers and requests that name none.
const DEFAULT: &str = "default";

/// The maximum number of characters of a tenant.
const MAX_TENANT: usize = 100;

/// The maximum number of characters of a namespace.
const MAX_NAMESPACE: usize = 63;

/// The error of parsing a [`TenantId`] or a [`NamespaceId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid {kind}: {text:?}; {rule}")]
pub struct InvalidScopeId {
    /// The kind of the id: `tenant` or `namespace`.
    pub kind: &'static str,
    /// The text, shortened.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// An isolated customer within one deployment.
///
/// It comes from the credentials of the caller. Things of another tenant do not exist for the caller. A tenant has 1 to
/// 100 characters: ASCII letters, digits, `-`, `_` and `.`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// A group of specifications of a tenant, with roles and rules of its own.
///
/// A namespace has 1 to 63 characters: lower-case ASCII letters, digits and `-`. The first is a letter or a digit.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceId(String);

impl TenantId {
    /// Returns the tenant.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), InvalidScopeId> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_valid = (1..=MAX_TENANT).contains(&text.len()) && text.chars().all(is_allowed);
        let rule = "a tenant has 1 to 100 ASCII letters, digits, `-`, `_` and `.`";
        valid(is_valid, "tenant", text, rule)
    }
}

impl NamespaceId {
    /// Returns the namespace.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), InvalidScopeId> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_valid = (1..=MAX_NAMESPACE).contains(&text.len())
            && text.chars().all(is_allowed)
            && !text.starts_with('-');
        let rule = "a namespace has 1 to 63 lower-case ASCII letters, digits and `-`, and does not start with `-`";
        valid(is_valid, "namespace", text, rule)
    }
}

fn valid(
    is_valid: bool,
    kind: &'static str,
    text: &str,
    rule: &'static str,
) -> Result<(), InvalidScopeId> {
    let text = || text.chars().take(40).collect();
    match is_valid {
        true => Ok(()),
        false => Err(InvalidScopeId {
            kind,
            text: text(),
            rule,
        }),
    }
}

/// Implements the conversions of an id.
macro_rules! conversions {
    ($($id:ident),*) => {$(
        impl Default for $id {
            fn default() -> Self {
                Self(DEFAULT.to_owned())
            }
        }

        impl FromStr for $id {
            type Err = InvalidScopeId;

            fn from_str(text: &str) -> Result<Self, InvalidScopeId> {
                Self::check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $id {
            type Error = InvalidScopeId;

            fn try_from(text: String) -> Result<Self, InvalidScopeId> {
                Self::check(&text).map(|()| Self(text))
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

conversions!(TenantId, NamespaceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_accepts_letters_digits_and_punctuation() {
        for text in ["a", "Acme-EU_2.example", &"t".repeat(MAX_TENANT)] {
            assert_eq!(
                text.parse::<TenantId>().map(String::from).as_deref(),
                Ok(text)
            );
        }
        for text in ["", "a/b", "a b", "größe", &"t".repeat(MAX_TENANT + 1)] {
            assert!(text.parse::<TenantId>().is_err(), "{text}");
        }
    }

    #[test]
    fn namespace_has_only_lower_case_letters_and_digits() {
        for text in ["a", "payments-eu2", "9", &"n".repeat(MAX_NAMESPACE)] {
            assert_eq!(
                text.parse::<NamespaceId>().map(String::from).as_deref(),
                Ok(text)
            );
        }
        for text in [
            "",
            "-a",
            "Payments",
            "a_b",
            "a,b",
            "*",
            &"n".repeat(MAX_NAMESPACE + 1),
        ] {
            assert!(text.parse::<NamespaceId>().is_err(), "{text}");
        }
        let error = "a/b".parse::<NamespaceId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid namespace: \"a/b\"; a namespace has 1 to 63 lower-case ASCII letters, digits and `-`, and does \
             not start with `-`"
        );
    }

    #[test]
    fn scope_ids_are_validated_when_deserialized() {
        assert!(serde_json::from_str::<TenantId>("\"a/b\"").is_err());
        assert!(serde_json::from_str::<NamespaceId>("\"A\"").is_err());
    }
}
