//! [`Lease`]: who works on a partition of a build, and how far it has come. One document, whose revision is the
//! fence: whoever writes it at the revision that it wrote last is still the owner.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::instances::Instances;
use crate::document::{ChangeError, Changes, DocumentStore, Revision};
use crate::error::StoreError;
use crate::place::Position;

/// What the document holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Every event up to here has had its effect, or is parked.
    pub(crate) position: Position,
    /// Which instance works on it.
    pub(crate) holder: Option<Uuid>,
}

/// A partition that this instance works on.
#[derive(Debug)]
pub(crate) struct Lease {
    key: String,
    revision: Revision,
    checkpoint: Checkpoint,
}

/// How an attempt to take a lease went.
pub(crate) enum Attempt {
    Taken(Lease),
    /// Another works on it, or shall.
    Left(Checkpoint),
}

/// What lies under `key`, where a checkpoint begins behind `begin`.
async fn look(
    documents: &dyn DocumentStore,
    key: &str,
    begin: Position,
) -> Result<(Revision, Checkpoint), StoreError> {
    let found = documents.find_documents(&[key.to_owned()]).await?;
    match found.first() {
        Some(document) => Ok((document.revision, document.decode()?)),
        None => {
            let checkpoint = Checkpoint {
                position: begin,
                holder: None,
            };
            Ok((Revision::ABSENT, checkpoint))
        }
    }
}

/// The key of a partition of a build.
pub(crate) fn key(name: &str, build: u64, partition: u16) -> String {
    format!("projection/{name}/{build:010}/{partition:05}")
}

/// How far a build has come, whoever works on it.
pub(crate) struct Progress {
    /// Every partition has come to here.
    pub(crate) position: Position,
    /// Who works on each partition.
    pub(crate) holders: Vec<Option<Uuid>>,
    /// Requires that it does not move.
    pub(crate) unmoved: Changes,
}

/// How far the build has come that has so many partitions.
pub(crate) async fn progress(
    documents: &dyn DocumentStore,
    name: &str,
    (build, partitions): (u64, u16),
) -> Result<Progress, StoreError> {
    let keys: Vec<String> = (0..partitions)
        .map(|partition| key(name, build, partition))
        .collect();
    let mut position = Position::MAX;
    let mut holders = Vec::with_capacity(keys.len());
    let mut unmoved = Changes::new();
    let found = documents.find_documents(&keys).await?;
    for document in &found {
        let checkpoint: Checkpoint = document.decode()?;
        position = position.min(checkpoint.position);
        holders.push(checkpoint.holder);
        unmoved = unmoved.require(&document.key, document.revision);
    }
    if found.len() < keys.len() {
        position = Position::ZERO;
    }
    Ok(Progress {
        position,
        holders,
        unmoved,
    })
}

impl Lease {
    /// Takes what lies under `key` if nobody who lives holds it, and this instance has its share not yet. What is new
    /// begins behind `begin`.
    pub(crate) async fn take(
        documents: &dyn DocumentStore,
        instances: &Instances,
        (key, begin): (&str, Position),
    ) -> Result<Attempt, StoreError> {
        let (revision, checkpoint) = look(documents, key, begin).await?;
        let me = instances.me();
        let free = match checkpoint.holder {
            None => true,
            Some(holder) => holder == me || !instances.lives(holder),
        };
        if !free || !(checkpoint.holder == Some(me) || instances.may_take(key)) {
            return Ok(Attempt::Left(checkpoint));
        }
        let checkpoint = Checkpoint {
            holder: Some(me),
            ..checkpoint
        };
        let changes = Changes::new().put_if(key, revision, super::json(&checkpoint)?);
        match documents.change_documents(changes).await {
            Ok(revision) => Ok(Attempt::Taken(Self {
                key: key.to_owned(),
                revision,
                checkpoint,
            })),
            Err(ChangeError::Moved { .. }) => Ok(Attempt::Left(checkpoint)),
            Err(ChangeError::Store(error)) => Err(error),
            Err(ChangeError::Invalid(invalid)) => Err(StoreError::Failed(invalid.into())),
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.checkpoint.position
    }

    /// The change that moves the checkpoint to `position`, while this instance is the owner.
    pub(crate) fn advance(&self, position: Position) -> Result<Changes, StoreError> {
        let checkpoint = Checkpoint {
            position,
            ..self.checkpoint
        };
        let value = super::json(&checkpoint)?;
        Ok(Changes::new().put_if(&self.key, self.revision, value))
    }

    /// The change was made.
    pub(crate) fn advanced(&mut self, position: Position, revision: Revision) {
        self.checkpoint.position = position;
        self.revision = revision;
    }

    /// Looks where it stands, when it is not known whether a change was made. `false`: another has taken over.
    pub(crate) async fn find_again(
        &mut self,
        documents: &dyn DocumentStore,
    ) -> Result<bool, StoreError> {
        let (revision, checkpoint) = look(documents, &self.key, Position::ZERO).await?;
        let mine = checkpoint.holder == self.checkpoint.holder;
        if mine {
            self.revision = revision;
            self.checkpoint = checkpoint;
        }
        Ok(mine)
    }

    /// Lets others have it at once.
    pub(crate) async fn release(self, documents: &dyn DocumentStore) -> Result<(), StoreError> {
        let checkpoint = Checkpoint {
            holder: None,
            ..self.checkpoint
        };
        let changes = Changes::new().put_if(&self.key, self.revision, super::json(&checkpoint)?);
        match documents.change_documents(changes).await {
            Err(ChangeError::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }
}
