//! [`GroupError`]: the reason why a request about a group failed.

use factum::store::{DocumentError, StoreError};

use super::stop::GroupStop;

/// The reason why a request about a group failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A field violates a rule.
    #[error("invalid {field}: {rule}")]
    Invalid {
        /// The path of the field.
        field: String,
        /// The violated rule.
        rule: String,
    },
    /// The group does not exist.
    #[error("the group {name:?} does not exist; create it first")]
    NotFound {
        /// The name of the group.
        name: String,
    },
    /// A group of this name exists.
    #[error("the group {name:?} exists already; update or delete it")]
    Exists {
        /// The name of the group.
        name: String,
    },
    /// The group is at another generation.
    #[error("the group {name:?} is at generation {actual}, expected {expected}; read it again")]
    OtherGeneration {
        /// The name of the group.
        name: String,
        /// The expected generation.
        expected: u64,
        /// The actual generation.
        actual: u64,
    },
    /// The group is stopped.
    #[error(
        "the group {name:?} is stopped at position {}: {}; resume or reset it",
        stop.position,
        stop.message
    )]
    Stopped {
        /// The name of the group.
        name: String,
        /// The reason and the position.
        stop: GroupStop,
    },
    /// The maximum number of consumers or groups is reached.
    #[error("too many {what}: the limit is {limit}")]
    TooMany {
        /// The things of which there are too many.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Concurrent changes came first again and again; nothing was changed.
    #[error("the group {name:?} was changed at the same time; retry")]
    Busy {
        /// The name of the group.
        name: String,
    },
    /// The server stops.
    #[error("the server is stopping; connect again")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GroupError {
    /// Creates the error for a field that violates a rule.
    pub fn invalid(field: impl Into<String>, rule: impl std::fmt::Display) -> Self {
        Self::Invalid {
            field: field.into(),
            rule: rule.to_string(),
        }
    }
}

/// The result of an attempt to change documents.
pub enum Attempt<T> {
    /// The documents were changed.
    Done(T),
    /// Another change came first.
    Conflict,
}

/// Separates a revision conflict from other errors.
///
/// # Errors
/// Returns the other errors.
pub fn attempt<T>(changed: Result<T, DocumentError>) -> Result<Attempt<T>, StoreError> {
    match changed {
        Ok(done) => Ok(Attempt::Done(done)),
        Err(DocumentError::RevisionConflict { .. }) => Ok(Attempt::Conflict),
        Err(error) => Err(error.into_store_error()),
    }
}
