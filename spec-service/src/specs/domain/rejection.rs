//! [`SpecRejection`]: the reasons why a command is rejected.

use std::fmt;

use thiserror::Error;

use super::{SpecName, SpecState};

/// A change to an existing specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Adds a version of the content.
    Update,
    /// Publishes a version.
    Publish,
    /// Marks the specification as deprecated.
    Deprecate,
    /// Deletes the specification.
    Delete,
}

impl Action {
    /// Returns the actions that `state` allows.
    #[must_use]
    pub fn allowed_in(state: SpecState) -> &'static [Self] {
        match state {
            SpecState::Draft => &[Self::Update, Self::Publish, Self::Delete],
            SpecState::Published => &[Self::Update, Self::Publish, Self::Deprecate, Self::Delete],
            SpecState::Deprecated => &[Self::Delete],
            SpecState::Deleted => &[],
        }
    }

    /// Returns the name of the action, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Publish => "publish",
            Self::Deprecate => "deprecate",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason why a command is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecRejection {
    /// No specification has this id.
    #[error("specification not found; check the id")]
    NotFound,
    /// A specification with this id exists.
    #[error("a specification with this id already exists; create another id")]
    AlreadyExists,
    /// The specification is deleted.
    #[error("the specification is deleted; its history remains")]
    Deleted,
    /// Another specification that is not deleted has the name.
    #[error("name already in use: {name}; choose another name")]
    NameTaken {
        /// The name.
        name: SpecName,
    },
    /// The state of the specification does not allow the action.
    #[error("cannot {action} a {state} specification; allowed: {}", comma_separated(.allowed))]
    NotAllowed {
        /// The state of the specification.
        state: SpecState,
        /// The action that was requested.
        action: Action,
        /// The actions that the state allows.
        allowed: &'static [Action],
    },
    /// The version is already the published version.
    #[error("version {version} is already published; choose another version")]
    AlreadyPublished {
        /// The version.
        version: u64,
    },
    /// The specification does not have the version.
    #[error("version not found: {requested}; the latest version is {latest}")]
    NoSuchVersion {
        /// The version that was requested.
        requested: u64,
        /// The latest version.
        latest: u64,
    },
    /// The latest version is not the expected one.
    #[error(
        "version mismatch: expected {expected}, the latest is {latest}; read the specification again"
    )]
    VersionMismatch {
        /// The latest version that the caller expects.
        expected: u64,
        /// The latest version.
        latest: u64,
    },
    /// The deprecation has no reason.
    #[error("missing reason; a deprecation must have a reason")]
    NoReason,
    /// A text is too long.
    #[error("{field} too long: {actual} characters; the limit is {limit}")]
    TooLong {
        /// The name of the field.
        field: &'static str,
        /// The maximum number of characters.
        limit: usize,
        /// The number of characters.
        actual: usize,
    },
}

fn comma_separated(actions: &[Action]) -> String {
    match actions {
        [] => "none".to_owned(),
        _ => actions
            .iter()
            .map(|action| action.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    }
}
