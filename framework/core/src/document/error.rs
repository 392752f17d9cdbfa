//! [`DocumentError`]: the reason why documents were not changed.

use super::revision::Revision;
use crate::error::StoreError;

/// The reason why documents were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A document is at another revision.
    #[error(
        "document {key:?} is at revision {actual}, expected revision {expected}; \
         read the document again and retry"
    )]
    RevisionConflict {
        /// The key of the document.
        key: String,
        /// The expected revision.
        expected: Revision,
        /// The actual revision; [`Revision::ABSENT`] if the document does not exist.
        actual: Revision,
    },
    /// The changes violate a rule that holds for every store.
    #[error(transparent)]
    Invalid(#[from] InvalidDocumentChanges),
    /// The backend failed.
    ///
    /// After [`StoreError::Unavailable`] nothing was changed. After [`StoreError::Interrupted`] the changes may have
    /// been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DocumentError {
    /// Converts the error for a caller that cannot cause a revision conflict.
    ///
    /// The source of [`StoreError::Failed`] is the [`InvalidDocumentChanges`] if the changes violate a rule.
    #[must_use]
    pub fn into_store_error(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Invalid(invalid) => StoreError::Failed(invalid.into()),
            conflict @ Self::RevisionConflict { .. } => StoreError::Failed(conflict.into()),
        }
    }
}

/// The rule that document changes violate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDocumentChanges {
    /// There are more than [`MAX_CHANGES`](crate::document::MAX_CHANGES) changes.
    #[error("too many document changes at once: {count}; the limit is {limit}")]
    TooMany {
        /// The number of changes.
        count: usize,
        /// The maximum number of changes.
        limit: usize,
    },
    /// A document has more than one change.
    #[error("document {key:?} is changed twice at once; combine the changes")]
    DuplicateKey {
        /// The key of the document.
        key: String,
    },
    /// A key is empty, too long, or contains control characters.
    ///
    /// The limit is [`MAX_KEY`](crate::document::MAX_KEY) bytes.
    #[error("invalid document key {key:?}: expected 1 to 1024 bytes without control characters")]
    Key {
        /// The key, truncated to 80 characters.
        key: String,
    },
    /// A value has more than [`MAX_VALUE`](crate::document::MAX_VALUE) bytes.
    #[error("value of document {key:?} is too large: {bytes} bytes; the limit is {limit}")]
    ValueTooLarge {
        /// The key of the document.
        key: String,
        /// The size of the value, in bytes.
        bytes: usize,
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// A value is nested so deeply that it could not be read.
    ///
    /// The limit is [`MAX_JSON_DEPTH`](crate::json::MAX_JSON_DEPTH).
    #[error(
        "value of document {key:?} is nested too deeply; JSON may have at most {limit} levels of arrays and objects"
    )]
    TooDeep {
        /// The key of the document.
        key: String,
        /// The maximum number of levels.
        limit: usize,
    },
    /// A value contains the character U+0000, which is not valid in JSON.
    #[error("value of document {key:?} is not JSON: it contains U+0000")]
    NotJson {
        /// The key of the document.
        key: String,
    },
    /// A document is kept unchanged without an expected revision of 1 or more.
    #[error(
        "change of document {key:?} has no effect; \
         a document that is kept unchanged needs an expected revision of 1 or more"
    )]
    NoEffect {
        /// The key of the document.
        key: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_error_of_invalid_changes_has_the_violated_rule() {
        let invalid = InvalidDocumentChanges::DuplicateKey { key: "a".into() };
        let StoreError::Failed(error) = DocumentError::Invalid(invalid.clone()).into_store_error()
        else {
            panic!("invalid changes must fail permanently")
        };
        assert_eq!(error.downcast_ref(), Some(&invalid));
    }
}
