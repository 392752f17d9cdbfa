//! [`DocumentChanges`]: changes of documents that take effect together.

use std::collections::HashSet;

use super::error::{DocumentError, InvalidDocumentChanges};
use super::revision::Revision;
use crate::field::{InvalidField, check_count, check_name};
use crate::json::{MAX_JSON_DEPTH, is_too_deep};

/// The maximum number of documents that can be changed together.
pub const MAX_CHANGES: usize = 10_000;
/// The maximum length of the key of a document, in bytes.
pub const MAX_KEY: usize = 1_024;
/// The maximum size of the value of a document, in bytes: 16 MiB.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;

/// Changes of documents that take effect together or not at all.
///
/// ```
/// use factum_core::document::{DocumentChanges, Revision};
///
/// let read_at = Revision::new(17);
/// let changes = DocumentChanges::new()
///     .put_if("lease/a", read_at, r#"{"holder":"b"}"#)
///     .put("seen/a", "true")
///     .delete("seen/b");
/// # assert_eq!(changes.check(), Ok(()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentChanges {
    changes: Vec<DocumentChange>,
}

/// The change of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// The key of the document.
    pub key: String,
    /// The revision that the document must have; `None` if any revision is accepted.
    pub expected: Option<Revision>,
    /// The effect of the change.
    pub effect: DocumentEffect,
}

/// The effect of a change on a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentEffect {
    /// The document is created or replaced with this JSON value.
    Put(String),
    /// The document is deleted, if it exists.
    Delete,
    /// The document stays unchanged; only its revision is checked.
    Keep,
}

impl DocumentChanges {
    /// Creates an empty set of changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates or replaces the document `key` with the JSON text `value`.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.and(key, None, DocumentEffect::Put(value.into()))
    }

    /// Creates or replaces the document `key` if it is at `revision`.
    ///
    /// With [`Revision::ABSENT`] the document must not exist.
    #[must_use]
    pub fn put_if(
        self,
        key: impl Into<String>,
        revision: Revision,
        value: impl Into<String>,
    ) -> Self {
        self.and(key, Some(revision), DocumentEffect::Put(value.into()))
    }

    /// Deletes the document `key` if it exists.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.and(key, None, DocumentEffect::Delete)
    }

    /// Deletes the document `key` if it is at `revision`.
    #[must_use]
    pub fn delete_if(self, key: impl Into<String>, revision: Revision) -> Self {
        self.and(key, Some(revision), DocumentEffect::Delete)
    }

    /// Requires that the document `key` is at `revision`, without changing it.
    ///
    /// `revision` must not be [`Revision::ABSENT`].
    #[must_use]
    pub fn require(self, key: impl Into<String>, revision: Revision) -> Self {
        self.and(key, Some(revision), DocumentEffect::Keep)
    }

    /// Adds the change of one document.
    #[must_use]
    pub fn and(
        mut self,
        key: impl Into<String>,
        expected: Option<Revision>,
        effect: DocumentEffect,
    ) -> Self {
        self.changes.push(DocumentChange {
            key: key.into(),
            expected,
            effect,
        });
        self
    }

    /// Adds all changes of `others`.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        self.changes.extend(others.changes);
        self
    }

    /// Returns whether the set of changes is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns the changes, one for each document.
    #[must_use]
    pub fn as_slice(&self) -> &[DocumentChange] {
        &self.changes
    }

    /// Converts the changes into a vector, with one change for each document.
    #[must_use]
    pub fn into_vec(self) -> Vec<DocumentChange> {
        self.changes
    }

    /// Returns the approximate size of the changes in a store, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let size = |change: &DocumentChange| match &change.effect {
            DocumentEffect::Put(value) => change.key.len() + value.len(),
            DocumentEffect::Delete | DocumentEffect::Keep => change.key.len(),
        };
        self.changes.iter().map(size).sum()
    }

    /// Returns a conflict for the first document that is not at its expected revision.
    ///
    /// `revision` returns the actual revision of a document. A store returns the conflict as the error of the request.
    #[must_use]
    pub fn revision_conflict(&self, revision: impl Fn(&str) -> Revision) -> Option<DocumentError> {
        self.changes.iter().find_map(|change| {
            let expected = change.expected?;
            let actual = revision(&change.key);
            (expected != actual).then(|| DocumentError::RevisionConflict {
                key: change.key.clone(),
                expected,
                actual,
            })
        })
    }

    /// Checks the rules that hold for every store; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidDocumentChanges`], which names the first rule that the changes violate.
    pub fn check(&self) -> Result<(), InvalidDocumentChanges> {
        let count = self.changes.len();
        if count > MAX_CHANGES {
            return Err(InvalidDocumentChanges::TooMany {
                count,
                limit: MAX_CHANGES,
            });
        }
        let mut seen = HashSet::with_capacity(count);
        for change in &self.changes {
            check_change(change)?;
            if !seen.insert(&change.key) {
                let key = change.key.clone();
                return Err(InvalidDocumentChanges::DuplicateKey { key });
            }
        }
        Ok(())
    }
}

fn check_change(change: &DocumentChange) -> Result<(), InvalidDocumentChanges> {
    let key = &change.key;
    if key.is_empty() || key.len() > MAX_KEY || key.contains(char::is_control) {
        let key = key.chars().take(80).collect();
        return Err(InvalidDocumentChanges::Key { key });
    }
    match &change.effect {
        DocumentEffect::Put(value) if value.len() > MAX_VALUE => {
            Err(InvalidDocumentChanges::ValueTooLarge {
                key: key.clone(),
                bytes: value.len(),
                limit: MAX_VALUE,
            })
        }
        DocumentEffect::Put(value) if is_too_deep(value.as_bytes(), MAX_JSON_DEPTH) => {
            Err(InvalidDocumentChanges::TooDeep {
                key: key.clone(),
                limit: MAX_JSON_DEPTH,
            })
        }
        DocumentEffect::Put(value) if value.contains('\0') => {
            Err(InvalidDocumentChanges::NotJson { key: key.clone() })
        }
        DocumentEffect::Keep if change.expected.is_none_or(|it| it == Revision::ABSENT) => {
            Err(InvalidDocumentChanges::NoEffect { key: key.clone() })
        }
        _ => Ok(()),
    }
}

/// Checks the keys of documents that are read; a store calls this first.
///
/// # Errors
/// Returns [`InvalidField`] if there are more than [`MAX_CHANGES`] keys, or a key is not valid.
pub fn check_keys(keys: &[String]) -> Result<(), InvalidField> {
    check_count("document keys in one read", keys.len(), MAX_CHANGES)?;
    let mut keys = keys.iter();
    keys.try_for_each(|key| check_name("document key", key, MAX_KEY))
}
