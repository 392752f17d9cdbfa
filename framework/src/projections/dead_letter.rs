//! [`DeadLetter`]: an event that a projection could not take, kept as its position.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::ProjectionError;
use crate::document::{ChangeError, Changes, Document, DocumentStore, Revision, Scan};
use crate::error::StoreError;
use crate::place::Position;
use crate::record::RecordedEvent;
use crate::stream::StreamId;
use crate::timestamp::Timestamp;

/// An event that a projection could not take, or one behind it in the same stream. Only its place is kept: when it is
/// tried again, the event is read as today's code reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
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
    pub(super) about: Option<Vec<String>>,
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
    Behind,
    /// It failed, and the projection went on without it, as its [`OnFailure`](super::OnFailure) says.
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
    pub(super) fn new(
        (event, about): (&RecordedEvent, Option<Vec<String>>),
        state: DeadLetterState,
    ) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            name: event.name.to_string(),
            parked_at: Timestamp::now(),
            state,
            about,
        }
    }

    /// What it is about besides its stream, if that is known.
    pub(super) fn about(&self) -> Option<&[String]> {
        self.about.as_deref()
    }

    /// Whether it waits: to be tried again, or to be discarded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            DeadLetterState::Failed { .. } | DeadLetterState::Behind
        )
    }
}

/// An event cannot be taken ahead of one that is parked: it is parked at once, too.
#[derive(Debug, thiserror::Error)]
#[error("an event that is parked comes first")]
pub(crate) struct Waits;

/// What waits of one partition, by stream.
#[derive(Debug, Default)]
pub(super) struct Parked {
    streams: HashMap<StreamId, BTreeMap<Position, Letter>>,
}

/// A dead letter, and the revision of its document.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) revision: Revision,
    pub(super) letter: DeadLetter,
}

pub(super) fn prefix(name: &str, build: u64) -> String {
    format!("parked/{name}/{build:010}/")
}

pub(super) fn key(name: &str, build: u64, position: Position) -> String {
    format!("{}{:020}", prefix(name, build), position.get())
}

/// All dead letters of a build, whatever has become of them, by position.
pub(super) async fn all(
    documents: &dyn DocumentStore,
    prefix: &str,
) -> Result<Vec<Letter>, StoreError> {
    let mut letters = Vec::new();
    let mut scan = Scan::prefix(prefix);
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        for document in &page {
            letters.push(Letter {
                revision: document.revision,
                letter: document.decode()?,
            });
        }
        match page.last() {
            Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
            _ => return Ok(letters),
        }
    }
}

/// What the events that wait in a build are about.
pub(crate) async fn about(
    documents: &dyn DocumentStore,
    (name, build): (&str, u64),
) -> Result<HashSet<String>, StoreError> {
    let letters = all(documents, &prefix(name, build)).await?.into_iter();
    let letters = letters.map(|it| it.letter);
    let waiting = letters.filter(DeadLetter::is_waiting);
    Ok(waiting.filter_map(|it| it.about).flatten().collect())
}

/// Streams, and what else events are about, of which something waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    streams: HashSet<StreamId>,
    about: HashSet<String>,
}

impl Queue {
    /// Whether what is of `stream` and `about` something waits, too.
    pub(super) fn holds(&self, stream: &StreamId, about: Option<&[String]>) -> bool {
        let mut about = about.unwrap_or_default().iter();
        self.streams.contains(stream) || about.any(|it| self.about.contains(it))
    }

    pub(super) fn join(&mut self, letter: &DeadLetter) {
        self.streams.insert(letter.stream.clone());
        self.about.extend(letter.about.iter().flatten().cloned());
    }
}

/// Deletes every dead letter of a build.
pub(super) async fn forget(
    documents: &dyn DocumentStore,
    name: &str,
    build: u64,
) -> Result<(), ChangeError> {
    let scan = Scan::prefix(prefix(name, build));
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        if page.is_empty() {
            return Ok(());
        }
        let keys = page.into_iter().map(|document| document.key);
        let deleted = keys.fold(Changes::new(), Changes::delete);
        documents.change_documents(deleted).await?;
    }
}

impl Parked {
    pub(super) fn new(letters: Vec<Letter>, mine: impl Fn(&StreamId) -> bool) -> Self {
        let mut parked = Self::default();
        for Letter { revision, letter } in letters {
            if mine(&letter.stream) {
                parked.insert(letter, revision);
            }
        }
        parked
    }

    /// All that waits.
    pub(super) fn queue(&self) -> Queue {
        let mut queue = Queue::default();
        let letters = self.streams.values().flat_map(BTreeMap::values);
        letters.for_each(|it| queue.join(&it.letter));
        queue
    }

    /// The first of which it is not known what it is about.
    pub(super) fn obscure(&self) -> Option<Position> {
        let letters = self.streams.values().flatten();
        let obscure = letters.filter(|(_, it)| it.letter.about.is_none());
        obscure.map(|(position, _)| *position).min()
    }

    /// One letter more, if it waits.
    pub(super) fn insert(&mut self, letter: DeadLetter, revision: Revision) {
        if letter.is_waiting() {
            let stream = self.streams.entry(letter.stream.clone()).or_default();
            stream.insert(letter.position, Letter { revision, letter });
        }
    }

    /// One letter less; the last of a stream lets the stream go on.
    pub(super) fn remove(&mut self, stream: &StreamId, position: Position) {
        if let Some(letters) = self.streams.get_mut(stream) {
            letters.remove(&position);
            if letters.is_empty() {
                self.streams.remove(stream);
            }
        }
    }

    /// All of them, in the order of the store.
    pub(super) fn in_order(&self) -> Vec<Letter> {
        let letters = self.streams.values().flatten();
        let letters: BTreeMap<_, _> = letters.collect();
        letters.into_values().cloned().collect()
    }

    pub(super) fn len(&self) -> u64 {
        self.streams
            .values()
            .map(|letters| letters.len() as u64)
            .sum()
    }
}

/// Nothing is parked at that position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing of {name:?} is parked at position {position}")]
struct NotParked {
    name: String,
    position: Position,
}

/// Marks a letter that waits.
pub(super) async fn discard(
    documents: &dyn DocumentStore,
    (name, build): (&str, u64),
    position: Position,
    reason: String,
) -> Result<(), ProjectionError> {
    let not_parked = || NotParked {
        name: name.to_owned(),
        position,
    };
    let key = key(name, build, position);
    let found = documents.find_documents(std::slice::from_ref(&key)).await?;
    let document = found.first();
    let letter: Option<DeadLetter> = document.map(Document::decode).transpose()?;
    let (Some(document), Some(mut letter)) = (document, letter.filter(DeadLetter::is_waiting))
    else {
        return Err(ProjectionError::Handler(not_parked().into()));
    };
    letter.state = DeadLetterState::Discarded { reason };
    let changes = Changes::new().put_if(&key, document.revision, super::json(&letter)?);
    match documents.change_documents(changes).await {
        Ok(_) => Ok(()),
        // It has been tried meanwhile, and worked.
        Err(ChangeError::Moved { .. }) => Err(ProjectionError::Handler(not_parked().into())),
        Err(error) => Err(ProjectionError::Handler(error.into())),
    }
}
