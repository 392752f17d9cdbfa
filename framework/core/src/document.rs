//! Documents: what the runtime keeps beside the events. A key, a JSON text, and a revision.
//!
//! Checkpoints with their leases, dead letters, scheduled work and the states of process managers are all kept
//! as documents, so that a backend has one thing to get right: several changes take effect together, and only
//! if what they were decided on still stands.

mod changes;
mod in_memory;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

pub use changes::{Change, ChangeError, Changes, Effect, InvalidChanges};
pub use in_memory::MemoryDocuments;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 1_024;
/// The longest value, in bytes: 16 MiB.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;
/// The most changes that are made together.
pub const MAX_CHANGES: usize = 10_000;
/// The most documents that one scan finds.
pub const MAX_SCAN: usize = 1_000;

/// Counts the changes of a store: whatever changes a document gives it a revision that no document had before.
/// 0: the document does not exist.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The document does not exist.
    pub const ABSENT: Self = Self(0);

    /// The revision `value`.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// 1 to [`MAX_KEY`] bytes without control characters.
    pub key: String,
    /// Of its last change.
    pub revision: Revision,
    /// JSON.
    pub value: String,
}

impl Document {
    /// The typed value.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] names the document that cannot be read.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.value)
            .map_err(|error| StoreError::Corrupt(format!("the document {:?}: {error}", self.key)))
    }
}

/// A typed value as a document holds it.
pub fn encode(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(error.into()))
}

/// Which documents to find: those whose keys begin with a prefix, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What their keys begin with.
    pub prefix: String,
    /// Only keys behind this one, which need not exist.
    pub after: String,
    /// At most this many, 1 to [`MAX_SCAN`].
    pub limit: usize,
}

impl Scan {
    /// All whose keys begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            after: String::new(),
            limit: MAX_SCAN,
        }
    }

    /// Only those behind `key`.
    #[must_use]
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.after = key.into();
        self
    }

    /// At most `limit`, cut to 1 to [`MAX_SCAN`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_SCAN);
        self
    }

    /// The first key behind all that begin with the prefix, if there is one: for backends that find ranges.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        let mut end = self.prefix.clone();
        while let Some(last) = end.pop() {
            // Behind the last scalar value below the surrogates comes the first above them.
            let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
            if let Some(next) = next {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}

/// Keeps documents. Not for the domain: what happened belongs into events.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// Makes all changes, or none, and gives back the revision that every changed document has now.
    ///
    /// When it returns `Ok`, the changes are durable and every reader sees them. If the future is dropped, all or none
    /// have happened, and which is not known.
    ///
    /// # Errors
    /// [`ChangeError::Moved`] if a document is not at the revision that a change requires,
    /// [`ChangeError::Invalid`] for what no store takes, [`ChangeError::Store`] if the backend fails.
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError>;

    /// Those of the documents `keys` that exist, in any order.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails.
    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError>;

    /// A range of documents, ascending by the bytes of their keys.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails.
    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError>;
}
