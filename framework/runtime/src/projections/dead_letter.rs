//! [`DeadLetter`]: an event that a projection could not take, kept as its position.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::warn;

use super::parked_events::events_at;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan, encode_document,
};
use factum_core::position::Position;
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::error::{StoreError, error_chain};
use factum_engine::record::RecordedEvent;

/// What the keys of those that wait begin with, and of those that are settled: nobody passes these on the way to what waits.
const WAITING: &str = "parked/";
const SETTLED: &str = "settled/";

/// An event that a projection could not take, or one behind it in the same stream. Only its place is kept: when it is
/// tried again, the event is read as today's code reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Which build could not take it.
    #[serde(skip)]
    pub build: u64,
    /// Its place in the store.
    pub position: Position,
    /// Its stream, of which every later event is parked, too.
    pub stream: StreamId,
    /// Its stored name.
    pub name: String,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// What has become of it.
    pub state: DeadLetterState,
    /// What it is about besides its stream, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Vec<String>>,
}

/// What has become of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadLetterState {
    /// It failed, the last time with this error, after so many attempts.
    Failed {
        /// The error, with its causes.
        error: String,
        /// How often it was tried in all.
        attempts: u32,
    },
    /// It was not tried: an earlier event of its stream is parked.
    Blocked,
    /// It failed, and the projection skipped it because of its [`FailurePolicy`](super::FailurePolicy).
    Skipped {
        /// The error, with its causes.
        error: String,
    },
    /// Somebody decided that it shall have no effect.
    Discarded {
        /// Why.
        reason: String,
    },
}

impl DeadLetter {
    pub fn new(
        (event, about): (&RecordedEvent, Option<Vec<String>>),
        state: DeadLetterState,
    ) -> Self {
        Self {
            build: 0,
            position: event.position,
            stream: event.stream.clone(),
            name: event.name.to_string(),
            parked_at: Timestamp::now(),
            state,
            about,
        }
    }

    /// Without what its error says, if it says anything.
    fn without_error(mut self) -> Option<Self> {
        use DeadLetterState::{Failed, Skipped};
        let (Failed { error, .. } | Skipped { error }) = &mut self.state else {
            return None;
        };
        let blank = "[forgotten]";
        if error == blank {
            return None;
        }
        blank.clone_into(error);
        Some(self)
    }

    /// What it is about besides its stream, if that is known.
    pub fn about(&self) -> Option<&[String]> {
        self.about.as_deref()
    }

    /// Whether it waits: to be tried again, or to be discarded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            DeadLetterState::Failed { .. } | DeadLetterState::Blocked
        )
    }
}

/// An event cannot be taken ahead of one that is parked: it is parked at once, too.
#[derive(Debug, thiserror::Error)]
#[error("an event that is parked comes first")]
pub struct Waits;

/// A dead letter, and the revision of its document.
#[derive(Debug, Clone)]
pub struct Letter {
    pub revision: Revision,
    pub letter: DeadLetter,
}

/// A build of a projection, and where its dead letters and their events are.
#[derive(Clone, Copy)]
pub struct Letters<'a> {
    pub store: &'a dyn EventStore,
    pub documents: &'a dyn DocumentStore,
    pub name: &'a str,
    pub build: u64,
}

impl Letters<'_> {
    fn waiting_prefix(&self) -> String {
        format!("{WAITING}{}/{:010}/", self.name, self.build)
    }

    fn settled_prefix(&self) -> String {
        format!("{SETTLED}{}/{:010}/", self.name, self.build)
    }

    pub fn key(&self, letter: &DeadLetter) -> String {
        let prefix = match letter.is_waiting() {
            true => self.waiting_prefix(),
            false => self.settled_prefix(),
        };
        format!("{prefix}{:020}", letter.position.get())
    }

    /// Those that wait, by position.
    pub async fn waiting(&self) -> Result<Vec<Letter>, StoreError> {
        self.all(self.waiting_prefix()).await
    }

    async fn streams(&self) -> Result<HashSet<StreamId>, StoreError> {
        let waiting = self.waiting().await?.into_iter();
        Ok(waiting.map(|waiting| waiting.letter.stream).collect())
    }

    /// What waits and what is settled, by position.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let mut letters = self.waiting().await?;
        letters.extend(self.all(self.settled_prefix()).await?);
        letters.sort_by_key(|letter| letter.letter.position);
        let letters = letters.into_iter().map(|letter| DeadLetter {
            build: self.build,
            ..letter.letter
        });
        Ok(letters.collect())
    }

    /// The first that waits here and has had its effect in the `other` build, which has come to `position`, or may still
    /// have it.
    pub async fn waits_only_here(
        &self,
        other: &Letters<'_>,
        position: Position,
    ) -> Result<Option<Position>, StoreError> {
        let here = self.waiting_prefix();
        let streams = OnceCell::new();
        let there = [other.waiting_prefix(), other.settled_prefix()];
        let mut scan = Scan::prefix(&here);
        loop {
            let page = self.documents.scan_documents(scan.clone()).await?;
            let places = || page.iter().map(|document| &document.key[here.len()..]);
            let keys: Vec<_> = places()
                .flat_map(|place| there.each_ref().map(|prefix| format!("{prefix}{place}")))
                .collect();
            let found = self.documents.find_documents(&keys).await?;
            let found: HashSet<_> = found.into_iter().map(|document| document.key).collect();
            let is_there = |keys: &[String]| keys.iter().any(|key| found.contains(key));
            let each = page.iter().zip(keys.chunks(there.len()));
            for (document, _) in each.filter(|(_, keys)| !is_there(keys)) {
                let letter: DeadLetter = document.decode()?;
                // It will wait there, too, behind what does.
                if letter.state == DeadLetterState::Blocked && letter.position > position {
                    let streams = streams.get_or_try_init(|| other.streams()).await?;
                    if streams.contains(&letter.stream) {
                        continue;
                    }
                }
                return Ok(Some(letter.position));
            }
            match page.last() {
                Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
                _ => return Ok(None),
            }
        }
    }

    async fn all(&self, prefix: String) -> Result<Vec<Letter>, StoreError> {
        let mut letters = Vec::new();
        let mut scan = Scan::prefix(prefix);
        loop {
            let page = self.documents.scan_documents(scan.clone()).await?;
            for document in &page {
                let revision = document.revision;
                let letter = self.read(document).await?;
                letters.extend(letter.map(|letter| Letter { revision, letter }));
            }
            match page.last() {
                Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
                _ => return Ok(letters),
            }
        }
    }

    /// One that cannot be read is made anew from its event, so that it is seen, and can be tried again or discarded.
    async fn read(&self, document: &Document) -> Result<Option<DeadLetter>, StoreError> {
        let error = match document.decode() {
            Ok(letter) => return Ok(Some(letter)),
            Err(error) => error_chain(&error),
        };
        warn!(
            key = document.key,
            error, "a dead letter cannot be read, and is taken to wait"
        );
        let position = document.key.rsplit('/').next().map(str::parse);
        let Some(Ok(position)) = position else {
            return Ok(None);
        };
        let found = events_at(self.store, &[Position::new(position)]).await?;
        let event = found.into_iter().next().flatten();
        let attempts = 0;
        let state = DeadLetterState::Failed { error, attempts };
        Ok(event.map(|event| DeadLetter::new((&event, None), state)))
    }

    /// Deletes all.
    pub async fn forget(&self) -> Result<(), DocumentError> {
        for prefix in [self.waiting_prefix(), self.settled_prefix()] {
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

    /// The changes that settle one that waits; `None`: nothing waits there.
    pub async fn discarding(
        &self,
        position: Position,
        reason: &str,
    ) -> Result<Option<DocumentChanges>, StoreError> {
        let key = format!("{}{:020}", self.waiting_prefix(), position.get());
        let found = self.documents.find_documents(std::slice::from_ref(&key));
        let Some(document) = found.await?.into_iter().next() else {
            return Ok(None);
        };
        let letter = self.read(&document).await?.filter(DeadLetter::is_waiting);
        let Some(mut letter) = letter else {
            return Ok(None);
        };
        letter.state = DeadLetterState::Discarded {
            reason: reason.to_owned(),
        };
        let gone = DocumentChanges::new().delete_if(&key, document.revision);
        Ok(Some(gone.put(self.key(&letter), encode_document(&letter)?)))
    }
}

/// What the events that wait in a build are about.
pub async fn about(
    store: &dyn Store,
    (name, build): (&str, u64),
) -> Result<HashSet<String>, StoreError> {
    let letters = Letters {
        store,
        documents: store,
        name,
        build,
    };
    let waiting = letters.waiting().await?.into_iter();
    let about = waiting.filter_map(|letter| letter.letter.about);
    Ok(about.flatten().collect())
}

/// Takes away the texts of the errors about the events at these `positions`, of every projection.
pub async fn blank_errors(
    documents: &dyn DocumentStore,
    positions: &std::collections::BTreeSet<Position>,
) -> Result<(), StoreError> {
    for prefix in [WAITING, SETTLED] {
        let mut scan = Scan::prefix(prefix);
        while !positions.is_empty() {
            let page = documents.scan_documents(scan.clone()).await?;
            let mut changes = DocumentChanges::new();
            for document in &page {
                let letter = document.decode().ok();
                let letter = letter.filter(|it: &DeadLetter| positions.contains(&it.position));
                if let Some(letter) = letter.and_then(DeadLetter::without_error) {
                    let value = encode_document(&letter)?;
                    changes = changes.put_if(&document.key, document.revision, value);
                }
            }
            if !changes.is_empty() {
                match documents.change_documents(changes).await {
                    Ok(_) => {}
                    // One was tried meanwhile: look again.
                    Err(DocumentError::RevisionConflict { .. }) => continue,
                    Err(DocumentError::Store(error)) => return Err(error),
                    Err(error) => return Err(StoreError::Failed(error.into())),
                }
            }
            match page.last() {
                Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
                _ => break,
            }
        }
    }
    Ok(())
}
