//! [`Lease`]: who works on a partition of a build, and how far it has come. One document, whose revision is the
//! fence: whoever writes it at the revision that it wrote last is still the owner.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::instances::Instances;
use super::{ProjectionError, control};
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, encode_document,
};
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;

/// What the document holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Every event up to here has had its effect, or is parked.
    pub position: Position,
    /// Which instance works on it.
    pub holder: Option<Uuid>,
    /// The order to try again what is parked that was obeyed last.
    pub retries: u64,
    /// How many events are parked.
    pub parked: u64,
    /// When the newest event was stored that had its effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Why its owner does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
}

/// Something failed as often as the policy allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub error: String,
    /// The order to go on that came last before it.
    pub resumed: u64,
}

/// A partition that this instance works on.
#[derive(Debug)]
pub struct Lease {
    key: String,
    revision: Revision,
    checkpoint: Checkpoint,
}

/// How an attempt to take a lease went.
pub enum Attempt {
    Taken(Lease),
    /// Another works on it, or shall.
    Left(Checkpoint),
    /// What is wanted is not what this instance knows of it.
    Outdated,
}

/// What is known to be wanted: the key and the revision of a control.
pub type Wanted<'a> = (&'a str, Revision);

/// What lies under `key`, where a checkpoint begins behind `begin`.
pub fn of(
    found: &[Document],
    key: &str,
    begin: Position,
) -> Result<(Revision, Checkpoint), StoreError> {
    match found.iter().find(|document| document.key == key) {
        Some(document) => Ok((document.revision, document.decode()?)),
        None => {
            let checkpoint = Checkpoint {
                position: begin,
                ..Checkpoint::default()
            };
            Ok((Revision::ABSENT, checkpoint))
        }
    }
}

/// The key of a partition of a build.
pub fn key(name: &str, build: u64, partition: u16) -> String {
    format!("projection/{name}/{build:010}/{partition:05}")
}

/// The keys of the partitions of a build that has so many.
pub fn keys(name: &str, (build, partitions): (u64, u16)) -> Vec<String> {
    let partitions = 0..partitions;
    partitions
        .map(|partition| key(name, build, partition))
        .collect()
}

/// How far a partition has come, by its document.
pub fn position(found: Option<&Document>) -> Result<Position, StoreError> {
    let checkpoint: Option<Checkpoint> = found.map(Document::decode).transpose()?;
    Ok(checkpoint.map_or(Position::ZERO, |checkpoint| checkpoint.position))
}

/// How far a build has come, whoever works on it.
pub struct Progress {
    /// Every partition has come to here.
    pub position: Position,
    /// And none farther than here.
    pub farthest: Position,
    /// Who works on each partition.
    pub holders: Vec<Option<Uuid>>,
    /// How many events are parked.
    pub parked: u64,
    /// When the newest event was stored that had its effect, where that was longest ago.
    pub newest: Option<Timestamp>,
    /// Somebody does not go on.
    pub stopped: bool,
    found: Vec<Document>,
}

/// How far the build has come that has so many partitions.
pub async fn progress(
    documents: &dyn DocumentStore,
    name: &str,
    of_build: (u64, u16),
) -> Result<Progress, StoreError> {
    let keys = keys(name, of_build);
    let found = documents.find_documents(&keys).await?;
    let mut progress = Progress {
        position: Position::MAX,
        farthest: Position::ZERO,
        holders: Vec::with_capacity(keys.len()),
        parked: 0,
        newest: None,
        stopped: false,
        found,
    };
    for key in &keys {
        let (_, checkpoint) = of(&progress.found, key, Position::ZERO)?;
        progress.position = progress.position.min(checkpoint.position);
        progress.farthest = progress.farthest.max(checkpoint.position);
        progress.holders.push(checkpoint.holder);
        progress.parked += checkpoint.parked;
        progress.newest = progress.newest.into_iter().chain(checkpoint.newest).min();
        progress.stopped |= checkpoint.stopped.is_some();
    }
    if keys.is_empty() {
        progress.position = Position::ZERO;
    }
    Ok(progress)
}

impl Progress {
    /// Requires that nobody has moved it, and makes everybody who works on it look again what is wanted.
    pub fn interrupt(&self) -> DocumentChanges {
        let found = self.found.iter();
        found.fold(DocumentChanges::new(), |changes, document| {
            changes.put_if(&document.key, document.revision, &document.value)
        })
    }
}

/// Makes everybody who works on a build of the projection `name` look again what is wanted before another step of
/// theirs counts. What is wanted must have changed already: who takes a lease from then on knows it.
pub async fn interrupt(documents: &dyn DocumentStore, name: &str) -> Result<(), ProjectionError> {
    let control = control::read(documents, name).await?.control;
    let builds = control.builds.iter().filter(|build| !build.retired);
    for key in builds.flat_map(|build| keys(name, (build.number, build.partitions))) {
        loop {
            let found = documents.find_documents(std::slice::from_ref(&key)).await?;
            let Some(Document {
                revision, value, ..
            }) = found.into_iter().next()
            else {
                break;
            };
            let same = DocumentChanges::new().put_if(&key, revision, value);
            match documents.change_documents(same).await {
                Ok(_) => break,
                // A step was faster. Who makes it learns of what is wanted by himself, too, so that this ends.
                Err(DocumentError::RevisionConflict { .. }) => {}
                Err(DocumentError::Store(error)) => return Err(error.into()),
                Err(error) => return Err(ProjectionError::Handler(error.into())),
            }
        }
    }
    Ok(())
}

impl Lease {
    /// Takes what lies under `key` if nobody who lives holds it, and this instance has its share not yet. What is new
    /// begins behind `begin`.
    pub async fn take(
        documents: &dyn DocumentStore,
        instances: &Instances,
        (key, begin): (&str, Position),
        wanted: Wanted<'_>,
    ) -> Result<Attempt, StoreError> {
        let found = [key.to_owned(), wanted.0.to_owned()];
        let found = documents.find_documents(&found).await?;
        let control = found.iter().find(|document| document.key == wanted.0);
        if control.map(|control| control.revision) != Some(wanted.1) {
            return Ok(Attempt::Outdated);
        }
        let (revision, checkpoint) = of(&found, key, begin)?;
        let me = instances.me();
        let mine = checkpoint.holder == Some(me);
        let taken = checkpoint
            .holder
            .is_some_and(|holder| instances.lives(holder));
        if taken {
            instances.is_taken(key);
        }
        if !mine && (taken || !instances.may_take(key)) {
            return Ok(Attempt::Left(checkpoint));
        }
        let checkpoint = Checkpoint {
            holder: Some(me),
            ..checkpoint
        };
        let changes = DocumentChanges::new()
            .put_if(key, revision, encode_document(&checkpoint)?)
            .require(wanted.0, wanted.1);
        match documents.change_documents(changes).await {
            Ok(revision) => Ok(Attempt::Taken(Self {
                key: key.to_owned(),
                revision,
                checkpoint,
            })),
            Err(DocumentError::RevisionConflict { .. }) => Ok(Attempt::Outdated),
            Err(error) => Err(error.into_store_error()),
        }
    }

    pub fn position(&self) -> Position {
        self.checkpoint.position
    }

    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The change that makes `next` of the checkpoint, while this instance is the owner.
    pub fn advance(&self, next: &Checkpoint) -> Result<DocumentChanges, StoreError> {
        Ok(DocumentChanges::new().put_if(&self.key, self.revision, encode_document(next)?))
    }

    /// The change was made.
    pub fn advanced(&mut self, next: Checkpoint, revision: Revision) {
        self.checkpoint = next;
        self.revision = revision;
    }

    /// Looks where it stands, when it is not known whether a change was made. `false`: another has taken over.
    pub async fn find_again(&mut self, documents: &dyn DocumentStore) -> Result<bool, StoreError> {
        let found = documents.find_documents(std::slice::from_ref(&self.key));
        self.found(&found.await?)
    }

    /// The same where others may move it for its owner. `false`, too: something else is wanted by now.
    pub async fn find_moved(
        &mut self,
        documents: &dyn DocumentStore,
        wanted: Wanted<'_>,
    ) -> Result<bool, StoreError> {
        let keys = [self.key.clone(), wanted.0.to_owned()];
        let found = documents.find_documents(&keys).await?;
        let control = found.iter().find(|document| document.key == wanted.0);
        let as_wanted = control.map(|control| control.revision) == Some(wanted.1);
        Ok(as_wanted && self.found(&found)?)
    }

    fn found(&mut self, found: &[Document]) -> Result<bool, StoreError> {
        let (revision, checkpoint) = of(found, &self.key, Position::ZERO)?;
        let mine = checkpoint.holder == self.checkpoint.holder;
        if mine {
            self.revision = revision;
            self.checkpoint = checkpoint;
        }
        Ok(mine)
    }

    /// Lets others have it at once.
    pub async fn release(self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let checkpoint = Checkpoint {
            holder: None,
            ..self.checkpoint
        };
        let changes =
            DocumentChanges::new().put_if(&self.key, self.revision, encode_document(&checkpoint)?);
        match documents.change_documents(changes).await {
            Err(DocumentError::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// An owner takes a lease and moves it; another takes it over; the owner moves it again, and the other does: which of
/// these is done. For the conformance suite.
#[doc(hidden)]
pub async fn fence(owner: &dyn DocumentStore, other: &dyn DocumentStore) -> [bool; 3] {
    let control = owner.change_documents(DocumentChanges::new().put("control", "{}"));
    let control = control.await.unwrap_or_default();
    // Whoever has no time at all is taken for dead at once.
    let (first, second) = (
        Instances::alone(Duration::ZERO),
        Instances::alone(Duration::ZERO),
    );
    let take = async |documents, instances| match Lease::take(
        documents,
        instances,
        ("fence", Position::ZERO),
        ("control", control),
    )
    .await
    {
        Ok(Attempt::Taken(lease)) => Some(lease),
        _ => None,
    };
    let advance = async |documents: &dyn DocumentStore, lease: Option<&Lease>, position| {
        let lease = lease?;
        let next = Checkpoint {
            position: Position::new(position),
            ..lease.checkpoint().clone()
        };
        documents
            .change_documents(lease.advance(&next).ok()?)
            .await
            .ok()
    };
    let mut held = take(owner, &first).await;
    let begun = advance(owner, held.as_ref(), 1).await;
    if let (Some(lease), Some(revision)) = (&mut held, begun) {
        let next = lease.checkpoint().clone();
        lease.advanced(next, revision);
    }
    let taken = take(other, &second).await;
    let late = advance(owner, held.as_ref(), 2).await;
    let goes_on = advance(other, taken.as_ref(), 3).await;
    [begun.is_some(), late.is_some(), goes_on.is_some()]
}
