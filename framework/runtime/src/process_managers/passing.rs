//! Whether a deadline may pass: once its process manager has taken every event that was stored when it became due, since
//! one of them may cancel it; and none of its instance is parked.

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

use super::dispatcher::{Dispatcher, Owner};
use super::model::model_name;
use crate::projections::dead_letter;
use crate::projections::lease::Checkpoint;
use factum_core::document::Document;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;

/// How far events are known to be taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// All that were stored at this time.
    through: Option<Timestamp>,
    /// All that were stored at this time are, once the checkpoint has come to here.
    wanted: Option<(Timestamp, Position)>,
}

/// Whether a deadline that is due may pass.
pub enum Passage {
    Now,
    /// Events come first.
    Later,
    /// Events of the instance are parked.
    Parked,
}

/// The instances of which events are parked.
pub async fn parked(store: &dyn Store, name: &str) -> Result<HashSet<String>, StoreError> {
    dead_letter::about(store, (&model_name(name), 1)).await
}

impl Dispatcher {
    /// Whether a deadline of the instance `id` that is due since `due` may pass.
    pub async fn passage(&self, id: &str, due: Timestamp) -> Result<Passage, StoreError> {
        let Owner::OfEvents { lease, .. } = &self.owner else {
            return Ok(Passage::Now);
        };
        let now = self.clock.now();
        let known = {
            let taken = self.taken();
            // Where the clock was set back, what is known of later times is not known any more.
            let holds = |at: Timestamp| (due..=now).contains(&at);
            let through = taken.through.filter(|through| holds(*through));
            let through = through.map(|through| (through, Position::ZERO));
            through.or_else(|| taken.wanted.filter(|(at, _)| holds(*at)))
        };
        // The head is read once: what is stored from then on does not hold it up.
        let (at, head) = match known {
            Some(known) => known,
            None => (now, self.head().await?),
        };
        let found = self.documents().find_documents(std::slice::from_ref(lease));
        let found = found.await?;
        let checkpoint: Option<Checkpoint> = found.first().map(Document::decode).transpose()?;
        let checkpoint = checkpoint.unwrap_or_default();
        if checkpoint.position < head {
            self.taken().wanted = Some((at, head));
            return Ok(Passage::Later);
        }
        *self.taken() = Taken {
            through: Some(at),
            wanted: None,
        };
        let waits = checkpoint.parked > 0
            && parked(&**self.engine.store(), self.logic.name())
                .await?
                .contains(id);
        Ok(if waits { Passage::Parked } else { Passage::Now })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.known
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let read = Read::all(Query::all()).backward().limit(1);
        Ok(self.engine.store().read(read).await?.head)
    }
}
