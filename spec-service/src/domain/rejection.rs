//! [`Rejection`]: why the rules do not allow a command.

use std::fmt;

use thiserror::Error;

use super::{SpecName, SpecState};

/// What can be done to a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new version of the content.
    Update,
    /// One version in force.
    Publish,
    /// Not to be used any more.
    Deprecate,
    /// Gone.
    Delete,
}

impl Action {
    /// What can be done to a specification in `state`.
    #[must_use]
    pub fn allowed_in(state: SpecState) -> &'static [Self] {
        match state {
            SpecState::Draft => &[Self::Update, Self::Publish, Self::Delete],
            SpecState::Published => &[Self::Update, Self::Publish, Self::Deprecate, Self::Delete],
            SpecState::Deprecated => &[Self::Delete],
            SpecState::Deleted => &[],
        }
    }

    /// The word for it.
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

/// The rule that a command breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Nothing was ever created under this id.
    #[error("there is no such specification")]
    NotFound,
    /// There is a specification under this id already.
    #[error("there is a specification with this id already")]
    AlreadyExists,
    /// It was deleted.
    #[error("the specification was deleted")]
    Deleted,
    /// Another living specification has the name.
    #[error("the name {name} belongs to another specification")]
    NameTaken {
        /// The name.
        name: SpecName,
    },
    /// Its state does not allow this.
    #[error("a {state} specification does not allow {action}; allowed: {}", list(.allowed))]
    NotAllowed {
        /// Its state.
        state: SpecState,
        /// What was asked for.
        action: Action,
        /// What its state allows.
        allowed: &'static [Action],
    },
    /// This very version is in force.
    #[error("version {version} is published already")]
    AlreadyPublished {
        /// The version.
        version: u64,
    },
    /// It has no such version.
    #[error("there is no version {asked}, the latest is {latest}")]
    NoSuchVersion {
        /// The version asked for.
        asked: u64,
        /// The latest version.
        latest: u64,
    },
    /// It has a later version than the caller knows.
    #[error("the latest version is {latest}, expected {expected}")]
    VersionMismatch {
        /// The version that the caller takes for the latest.
        expected: u64,
        /// The latest version.
        latest: u64,
    },
    /// A deprecation without a reason.
    #[error("a deprecation has a reason")]
    NoReason,
    /// A text is too long.
    #[error("the {field} has {actual} characters, at most {limit} are allowed")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// The most characters allowed.
        limit: usize,
        /// The characters there are.
        actual: usize,
    },
}

fn list(actions: &[Action]) -> String {
    match actions {
        [] => "nothing".to_owned(),
        _ => actions
            .iter()
            .map(|action| action.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    }
}
