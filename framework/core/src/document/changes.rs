//! [`Changes`]: what is done to documents together, and why it is not.

use std::collections::HashSet;

use super::{MAX_CHANGES, MAX_KEY, MAX_VALUE, Revision};
use crate::error::StoreError;

/// Changes of documents that take effect together or not at all.
///
/// ```
/// use factum::document::{Changes, Revision};
///
/// let read_at = Revision::new(17);
/// let changes = Changes::new()
///     .put_if("lease/a", read_at, r#"{"holder":"b"}"#)
///     .put("seen/a", "true")
///     .delete("seen/b");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    changes: Vec<Change>,
}

/// What is done to one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which document.
    pub key: String,
    /// The revision that it must have; `None`: any, or none.
    pub required: Option<Revision>,
    /// What becomes of it.
    pub effect: Effect,
}

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It gets this value, JSON.
    Put(String),
    /// It is no more. What does not exist can be deleted, too.
    Delete,
    /// It stays as it is.
    Keep,
}

impl Changes {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The document `key` gets `value`, JSON, whatever it was.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.and(key, None, Effect::Put(value.into()))
    }

    /// The same, if it is at `revision`; [`Revision::ABSENT`]: if it does not exist.
    #[must_use]
    pub fn put_if(
        self,
        key: impl Into<String>,
        revision: Revision,
        value: impl Into<String>,
    ) -> Self {
        self.and(key, Some(revision), Effect::Put(value.into()))
    }

    /// The document `key` is no more, whatever it was.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.and(key, None, Effect::Delete)
    }

    /// The same, if it is at `revision`.
    #[must_use]
    pub fn delete_if(self, key: impl Into<String>, revision: Revision) -> Self {
        self.and(key, Some(revision), Effect::Delete)
    }

    /// All this only while the document `key` is at `revision`, which must not be [`Revision::ABSENT`].
    #[must_use]
    pub fn require(self, key: impl Into<String>, revision: Revision) -> Self {
        self.and(key, Some(revision), Effect::Keep)
    }

    pub fn and(
        mut self,
        key: impl Into<String>,
        required: Option<Revision>,
        effect: Effect,
    ) -> Self {
        self.changes.push(Change {
            key: key.into(),
            required,
            effect,
        });
        self
    }

    /// These and `others`, together.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        self.changes.extend(others.changes);
        self
    }

    /// Whether nothing changes and nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// One for each document.
    #[must_use]
    pub fn as_slice(&self) -> &[Change] {
        &self.changes
    }

    /// One for each document.
    #[must_use]
    pub fn into_vec(self) -> Vec<Change> {
        self.changes
    }

    /// The first change whose document is not as it requires, where `revision` says at which revision a document
    /// is. For a store to answer with.
    pub fn moved(&self, revision: impl Fn(&str) -> Revision) -> Option<ChangeError> {
        self.changes.iter().find_map(|change| {
            let required = change.required?;
            let actual = revision(&change.key);
            (required != actual).then(|| ChangeError::Moved {
                key: change.key.clone(),
                required,
                actual,
            })
        })
    }

    /// Checks what every store rejects; a store calls this first.
    ///
    /// # Errors
    /// [`InvalidChanges`]: a document named twice, too many changes, a key or a value out of bounds, the requirement
    /// that a document which is not touched does not exist.
    pub fn check(&self) -> Result<(), InvalidChanges> {
        let count = self.changes.len();
        if count > MAX_CHANGES {
            return Err(InvalidChanges::TooMany {
                count,
                limit: MAX_CHANGES,
            });
        }
        let mut seen = HashSet::with_capacity(count);
        for change in &self.changes {
            check_change(change)?;
            if !seen.insert(&change.key) {
                let key = change.key.clone();
                return Err(InvalidChanges::Twice { key });
            }
        }
        Ok(())
    }
}

fn check_change(change: &Change) -> Result<(), InvalidChanges> {
    let key = &change.key;
    if key.is_empty() || key.len() > MAX_KEY || key.contains(char::is_control) {
        let key = key.chars().take(80).collect();
        return Err(InvalidChanges::Key { key });
    }
    match &change.effect {
        Effect::Put(value) if value.len() > MAX_VALUE => Err(InvalidChanges::ValueTooLarge {
            key: key.clone(),
            bytes: value.len(),
            limit: MAX_VALUE,
        }),
        Effect::Put(value) if value.contains('\0') => {
            Err(InvalidChanges::NotJson { key: key.clone() })
        }
        Effect::Keep if change.required.is_none_or(|it| it == Revision::ABSENT) => {
            Err(InvalidChanges::Idle { key: key.clone() })
        }
        _ => Ok(()),
    }
}

/// Documents were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// A document is not at the revision that was required.
    #[error("the document {key:?} is at revision {actual}, required was {required}")]
    Moved {
        /// Which document.
        key: String,
        /// The revision required.
        required: Revision,
        /// Its revision; 0: it does not exist.
        actual: Revision,
    },
    /// No store takes this.
    #[error(transparent)]
    Invalid(#[from] InvalidChanges),
    /// The backend failed. After [`StoreError::Unavailable`] nothing was changed, after
    /// [`StoreError::Interrupted`] that is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChangeError {
    /// Converts the error for a caller that cannot run into a revision conflict.
    #[must_use]
    pub fn into_store_error(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            other => StoreError::Failed(other.into()),
        }
    }
}

/// Changes that no store makes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidChanges {
    /// More than [`MAX_CHANGES`].
    #[error("{count} changes at once, the limit is {limit}")]
    TooMany {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// One document, two changes.
    #[error("the document {key:?} is changed twice at once")]
    Twice {
        /// Which document.
        key: String,
    },
    /// A key is empty, longer than [`MAX_KEY`] bytes, or holds control characters.
    #[error("{key:?} is no key of a document: 1 to 1024 bytes without control characters")]
    Key {
        /// The key, cut after 80 characters.
        key: String,
    },
    /// More than [`MAX_VALUE`] bytes.
    #[error("{bytes} bytes for the document {key:?}, the limit is {limit}")]
    ValueTooLarge {
        /// Which document.
        key: String,
        /// How many bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A value holds the character U+0000, which stands in no JSON.
    #[error("the value for the document {key:?} is not JSON: it holds U+0000")]
    NotJson {
        /// Which document.
        key: String,
    },
    /// A document that is kept as it is must exist, at some revision.
    #[error("nothing is required of the document {key:?} that another could not undo meanwhile")]
    Idle {
        /// Which document.
        key: String,
    },
}
