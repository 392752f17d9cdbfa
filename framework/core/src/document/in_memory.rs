//! [`MemoryDocuments`]: documents in a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{ChangeError, Changes, Document, DocumentStore, Effect, Revision, Scan};
use crate::error::StoreError;

/// Documents in memory, gone with the value: for stores in memory, and for what each process keeps for itself.
#[derive(Debug, Default)]
pub struct MemoryDocuments(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    documents: BTreeMap<String, (Revision, String)>,
    last: u64,
}

impl MemoryDocuments {
    /// No documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`find_documents`](DocumentStore::find_documents), at once.
    pub fn find(&self, keys: &[String]) -> Vec<Document> {
        let held = self.held();
        let found = keys.iter().filter_map(|key| {
            let entry = held.documents.get_key_value(key)?;
            Some(document(entry))
        });
        found.collect()
    }

    /// As [`change_documents`](DocumentStore::change_documents), at once.
    ///
    /// # Errors
    /// [`ChangeError::Moved`], or [`ChangeError::Invalid`].
    pub fn change(&self, changes: Changes) -> Result<Revision, ChangeError> {
        changes.check()?;
        let mut held = self.held();
        let revision = |key: &str| {
            let document = held.documents.get(key);
            document.map_or(Revision::ABSENT, |(revision, _)| *revision)
        };
        if let Some(moved) = changes.moved(revision) {
            return Err(moved);
        }
        held.last += 1;
        let revision = Revision::new(held.last);
        for change in changes.into_vec() {
            match change.effect {
                Effect::Put(value) => {
                    held.documents.insert(change.key, (revision, value));
                }
                Effect::Delete => {
                    held.documents.remove(&change.key);
                }
                Effect::Keep => {}
            }
        }
        Ok(revision)
    }
}

#[async_trait]
impl DocumentStore for MemoryDocuments {
    async fn change_documents(&self, changes: Changes) -> Result<Revision, ChangeError> {
        self.change(changes)
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        Ok(self.find(keys))
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let from = if scan.after >= scan.prefix {
            Bound::Excluded(&scan.after)
        } else {
            Bound::Included(&scan.prefix)
        };
        let held = self.held();
        let range = held.documents.range::<String, _>((from, Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(&scan.prefix));
        Ok(found.take(scan.limit).map(document).collect())
    }
}

fn document((key, (revision, value)): (&String, &(Revision, String))) -> Document {
    Document {
        key: key.clone(),
        revision: *revision,
        value: value.clone(),
    }
}
