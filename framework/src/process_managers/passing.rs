//! Whether a deadline may pass: once its process manager has taken every event that was stored when it became due, since
//! one of them may cancel it.

use std::sync::PoisonError;

use super::dispatcher::{Dispatcher, Owner};
use crate::document::Document;
use crate::error::StoreError;
use crate::place::Position;
use crate::projections::lease::Checkpoint;
use crate::query::Query;
use crate::read::Read;
use crate::timestamp::Timestamp;

/// How far events are known to be taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// All that were stored at this time.
    through: Option<Timestamp>,
    /// All that were stored at this time are, once the checkpoint has come to here.
    wanted: Option<(Timestamp, Position)>,
}

/// Whether a deadline that is due may pass.
pub(super) enum Passage {
    Now,
    /// Events come first.
    Later,
}

impl Dispatcher {
    /// Whether a deadline that is due since `due` may pass.
    pub(super) async fn passage(&self, due: Timestamp) -> Result<Passage, StoreError> {
        let Owner::OfEvents { lease, .. } = &self.owner else {
            return Ok(Passage::Now);
        };
        let known = {
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.through.is_some_and(|through| due <= through) {
                return Ok(Passage::Now);
            }
            taken.wanted.filter(|(at, _)| due <= *at)
        };
        // The head is read once: what is stored from then on does not hold it up.
        let (at, head) = match known {
            Some(wanted) => wanted,
            None => (self.clock.now(), self.head().await?),
        };
        let found = self.documents().find_documents(std::slice::from_ref(lease));
        let found = found.await?;
        let checkpoint: Option<Checkpoint> = found.first().map(Document::decode).transpose()?;
        let is_taken = checkpoint.is_some_and(|checkpoint| checkpoint.position >= head);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_taken {
            taken.wanted = Some((at, head));
            return Ok(Passage::Later);
        }
        taken.through = taken.through.max(Some(at));
        taken.wanted = None;
        Ok(Passage::Now)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let read = Read::all(Query::all()).backward().limit(1);
        Ok(self.engine.store().read(read).await?.head)
    }
}
