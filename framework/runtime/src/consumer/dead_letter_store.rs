//! [`DeadLetterStore`]: the documents of the dead letters of a build.

use std::collections::{BTreeSet, HashSet};

use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Scan, encode_document,
};
use factum_core::position::Position;
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_engine::error::{StoreError, error_chain};
use tokio::sync::OnceCell;
use tracing::warn;

use super::dead_letter::{DeadLetter, DeadLetterState, StoredDeadLetter};
use super::events_at::events_at;
use crate::document_scan::scan_all;

/// The prefix of dead letters that can be retried or discarded.
///
/// Skipped and discarded dead letters have another prefix, so that a scan of waiting dead letters does not read them.
const WAITING: &str = "dead-letter/waiting/";
const RESOLVED: &str = "dead-letter/resolved/";

/// The documents of the dead letters of a build.
#[derive(Clone, Copy)]
pub struct DeadLetterStore<'a> {
    store: &'a dyn EventStore,
    documents: &'a dyn DocumentStore,
    name: &'a str,
    build: u64,
}

impl<'a> DeadLetterStore<'a> {
    /// Creates the store of the dead letters of `build` of the consumer `name`.
    pub fn new(
        store: &'a dyn EventStore,
        documents: &'a dyn DocumentStore,
        name: &'a str,
        build: u64,
    ) -> Self {
        Self {
            store,
            documents,
            name,
            build,
        }
    }

    fn waiting_prefix(&self) -> String {
        format!("{WAITING}{}/{:010}/", self.name, self.build)
    }

    fn resolved_prefix(&self) -> String {
        format!("{RESOLVED}{}/{:010}/", self.name, self.build)
    }

    fn waiting_key(&self, position: Position) -> String {
        format!("{}{:020}", self.waiting_prefix(), position.get())
    }

    /// Returns the key of a dead letter, which depends on its state.
    pub fn key(&self, letter: &DeadLetter) -> String {
        match letter.is_waiting() {
            true => self.waiting_key(letter.position),
            false => format!("{}{:020}", self.resolved_prefix(), letter.position.get()),
        }
    }

    /// Returns the dead letters that can be retried or discarded, by position.
    pub async fn waiting(&self) -> Result<Vec<StoredDeadLetter>, StoreError> {
        self.all(self.waiting_prefix()).await
    }

    async fn blocked_streams(&self) -> Result<HashSet<StreamId>, StoreError> {
        let waiting = self.waiting().await?.into_iter();
        Ok(waiting.map(|waiting| waiting.letter.stream).collect())
    }

    /// Returns all dead letters, by position.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let mut letters = self.waiting().await?;
        letters.extend(self.all(self.resolved_prefix()).await?);
        letters.sort_by_key(|stored| stored.letter.position);
        let letters = letters.into_iter().map(|mut stored| {
            stored.letter.build = self.build;
            stored.letter
        });
        Ok(letters.collect())
    }

    /// Returns the first dead letter of this build whose event has an effect in the build of `other`.
    ///
    /// An event that may still take effect in that build counts, too. `position` is the checkpoint of that build.
    pub async fn first_missing_effect(
        &self,
        other: &DeadLetterStore<'_>,
        position: Position,
    ) -> Result<Option<Position>, StoreError> {
        let prefix = self.waiting_prefix();
        let blocked_streams = OnceCell::new();
        let other_prefixes = [other.waiting_prefix(), other.resolved_prefix()];
        let mut scan = Scan::prefix(&prefix);
        loop {
            let page = self.documents.scan_documents(scan.clone()).await?;
            let suffixes = page.iter().map(|document| &document.key[prefix.len()..]);
            let keys: Vec<String> = suffixes
                .flat_map(|suffix| other_prefixes.each_ref().map(|it| format!("{it}{suffix}")))
                .collect();
            let found = self.documents.find_documents(&keys).await?;
            let found: HashSet<_> = found.into_iter().map(|document| document.key).collect();
            let is_in_other = |keys: &[String]| keys.iter().any(|key| found.contains(key));
            let pairs = page.iter().zip(keys.chunks(other_prefixes.len()));
            for (document, _) in pairs.filter(|(_, keys)| !is_in_other(keys)) {
                let letter: DeadLetter = document.decode()?;
                if letter.state == DeadLetterState::Blocked && letter.position > position {
                    // It will be blocked in the other build, too.
                    let streams = blocked_streams.get_or_try_init(|| other.blocked_streams());
                    if streams.await?.contains(&letter.stream) {
                        continue;
                    }
                }
                return Ok(Some(letter.position));
            }
            match scan.next(&page) {
                Some(next) => scan = next,
                None => return Ok(None),
            }
        }
    }

    async fn all(&self, prefix: String) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let mut letters = Vec::new();
        for document in scan_all(self.documents, prefix).await? {
            let revision = document.revision;
            let letter = self.decode(&document).await?;
            letters.extend(letter.map(|letter| StoredDeadLetter { revision, letter }));
        }
        Ok(letters)
    }

    /// Decodes a dead letter.
    ///
    /// A dead letter that cannot be decoded is created again from its event. It is then visible, and can be retried or
    /// discarded.
    async fn decode(&self, document: &Document) -> Result<Option<DeadLetter>, StoreError> {
        let error = match document.decode() {
            Ok(letter) => return Ok(Some(letter)),
            Err(error) => error_chain(&error),
        };
        warn!(
            key = document.key,
            error, "cannot decode a dead letter; recreating it from its event"
        );
        let position = document.key.rsplit('/').next().map(str::parse);
        let Some(Ok(position)) = position else {
            return Ok(None);
        };
        let found = events_at(self.store, &[Position::new(position)]).await?;
        let event = found.into_iter().next().flatten();
        let state = DeadLetterState::Failed { error, attempts: 0 };
        Ok(event.map(|event| DeadLetter::new(&event, None, state)))
    }

    /// Deletes all dead letters of the build.
    pub async fn delete_all(&self) -> Result<(), DocumentError> {
        for prefix in [self.waiting_prefix(), self.resolved_prefix()] {
            let scan = Scan::prefix(prefix);
            loop {
                let page = self.documents.scan_documents(scan.clone()).await?;
                if page.is_empty() {
                    break;
                }
                let keys = page.into_iter().map(|document| document.key);
                let deleted = keys.fold(DocumentChanges::new(), DocumentChanges::delete);
                self.documents.change_documents(deleted).await?;
            }
        }
        Ok(())
    }

    /// Returns the changes that discard the dead letter at `position`.
    ///
    /// Returns `None` if no dead letter is waiting at this position.
    pub async fn discard(
        &self,
        position: Position,
        reason: &str,
    ) -> Result<Option<DocumentChanges>, StoreError> {
        let Some(StoredDeadLetter {
            revision,
            mut letter,
        }) = self.find_waiting(position).await?
        else {
            return Ok(None);
        };
        letter.state = DeadLetterState::Discarded {
            reason: reason.to_owned(),
        };
        let gone = DocumentChanges::new().delete_if(self.waiting_key(position), revision);
        Ok(Some(gone.put(self.key(&letter), encode_document(&letter)?)))
    }

    /// Returns the changes that request a retry of the dead letter at `position`.
    ///
    /// Returns `None` if no dead letter is waiting at this position.
    pub async fn request_retry(
        &self,
        position: Position,
    ) -> Result<Option<DocumentChanges>, StoreError> {
        let Some(StoredDeadLetter {
            revision,
            mut letter,
        }) = self.find_waiting(position).await?
        else {
            return Ok(None);
        };
        letter.request_retry();
        let key = self.waiting_key(position);
        Ok(Some(DocumentChanges::new().put_if(
            key,
            revision,
            encode_document(&letter)?,
        )))
    }

    async fn find_waiting(
        &self,
        position: Position,
    ) -> Result<Option<StoredDeadLetter>, StoreError> {
        let key = self.waiting_key(position);
        let found = self.documents.find_documents(&[key]).await?;
        let Some(document) = found.into_iter().next() else {
            return Ok(None);
        };
        let letter = self.decode(&document).await?.filter(DeadLetter::is_waiting);
        Ok(letter.map(|letter| StoredDeadLetter {
            revision: document.revision,
            letter,
        }))
    }
}

/// Returns the correlation keys of all events that wait in the dead-letter queue of a build.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
pub async fn blocked_keys(
    store: &dyn Store,
    name: &str,
    build: u64,
) -> Result<HashSet<String>, StoreError> {
    let letters = DeadLetterStore::new(store, store, name, build);
    let waiting = letters.waiting().await?.into_iter();
    let keys = waiting.filter_map(|stored| stored.letter.into_correlation_keys());
    Ok(keys.flatten().collect())
}

/// Removes the error texts of the dead letters at these positions, of every consumer.
///
/// # Errors
/// Returns [`StoreError`] if the store fails.
pub async fn redact_errors(
    documents: &dyn DocumentStore,
    positions: &BTreeSet<Position>,
) -> Result<(), StoreError> {
    for prefix in [WAITING, RESOLVED] {
        let mut scan = Scan::prefix(prefix);
        while !positions.is_empty() {
            let page = documents.scan_documents(scan.clone()).await?;
            let mut changes = DocumentChanges::new();
            for document in &page {
                let letter = document.decode().ok();
                let letter = letter.filter(|it: &DeadLetter| positions.contains(&it.position));
                if let Some(letter) = letter.and_then(DeadLetter::with_redacted_error) {
                    let value = encode_document(&letter)?;
                    changes = changes.put_if(&document.key, document.revision, value);
                }
            }
            if !changes.is_empty() {
                match documents.change_documents(changes).await {
                    Ok(_) => {}
                    // A dead letter was retried meanwhile: read the page again.
                    Err(DocumentError::RevisionConflict { .. }) => continue,
                    Err(error) => return Err(error.into_store_error()),
                }
            }
            match scan.next(&page) {
                Some(next) => scan = next,
                None => break,
            }
        }
    }
    Ok(())
}
