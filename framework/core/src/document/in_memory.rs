//! [`MemoryDocuments`]: documents in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::changes::{DocumentChanges, DocumentEffect, check_keys};
use super::error::DocumentError;
use super::revision::Revision;
use super::scan::{MAX_SCAN_BYTES, Scan};
use super::store::{Document, DocumentStore};
use crate::error::StoreError;

/// Documents in memory, for stores in memory and for state that one process keeps for itself.
#[derive(Debug, Default)]
pub struct MemoryDocuments(Mutex<MemoryState>);

#[derive(Debug, Default)]
struct MemoryState {
    documents: BTreeMap<String, (Revision, String)>,
    last_revision: u64,
}

impl MemoryDocuments {
    /// Creates an empty set of documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns documents like [`find_documents`](DocumentStore::find_documents), without `await`.
    #[must_use]
    pub fn find(&self, keys: &[String]) -> Vec<Document> {
        let state = self.lock();
        let found = keys.iter().filter_map(|key| {
            let entry = state.documents.get_key_value(key)?;
            Some(document(entry))
        });
        found.collect()
    }

    /// Changes documents like [`change_documents`](DocumentStore::change_documents), without `await`.
    ///
    /// # Errors
    /// Returns [`DocumentError::RevisionConflict`] or [`DocumentError::Invalid`].
    pub fn change(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.change_with(changes, || Ok(()))
    }

    /// Changes documents, like [`change`](Self::change), together with `effect`: both or neither.
    ///
    /// `effect` runs if the changes are possible. It must not use these documents.
    ///
    /// # Errors
    /// Returns the error of `effect`, [`DocumentError::RevisionConflict`] or [`DocumentError::Invalid`].
    pub fn change_with<E: From<DocumentError>>(
        &self,
        changes: DocumentChanges,
        effect: impl FnOnce() -> Result<(), E>,
    ) -> Result<Revision, E> {
        changes.check().map_err(DocumentError::from)?;
        let mut state = self.lock();
        let revision = |key: &str| {
            let document = state.documents.get(key);
            document.map_or(Revision::ABSENT, |(revision, _)| *revision)
        };
        if let Some(conflict) = changes.revision_conflict(revision) {
            return Err(conflict.into());
        }
        effect()?;
        state.last_revision += 1;
        let revision = Revision::new(state.last_revision);
        for change in changes.into_vec() {
            match change.effect {
                DocumentEffect::Put(value) => {
                    state.documents.insert(change.key, (revision, value));
                }
                DocumentEffect::Delete => {
                    state.documents.remove(&change.key);
                }
                DocumentEffect::Keep => {}
            }
        }
        Ok(revision)
    }
}

#[async_trait]
impl DocumentStore for MemoryDocuments {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.change(changes)
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        check_keys(keys)?;
        Ok(self.find(keys))
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        scan.check()?;
        let from = if scan.after >= scan.prefix {
            Bound::Excluded(&scan.after)
        } else {
            Bound::Included(&scan.prefix)
        };
        let state = self.lock();
        let range = state.documents.range::<String, _>((from, Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(&scan.prefix));
        let mut bytes = 0;
        let page = found.take(scan.limit).take_while(|(_, (_, value))| {
            let has_room = bytes < MAX_SCAN_BYTES;
            bytes += value.len();
            has_room
        });
        Ok(page.map(document).collect())
    }
}

fn document((key, (revision, value)): (&String, &(Revision, String))) -> Document {
    Document {
        key: key.clone(),
        revision: *revision,
        value: value.clone(),
    }
}
