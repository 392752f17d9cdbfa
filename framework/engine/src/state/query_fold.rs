//! [`QueryFold`]: the state of a DCB query, which all commands of an engine with this query share.

use std::sync::Arc;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::record::RecordedEvent;
use factum_core::store::Store;
use tokio::sync::Mutex;

use crate::domain::error::DecodeError;
use crate::domain::event_set::{ApplySet, EventSet};
use crate::state::load_error::LoadError;

/// The state of a DCB query.
///
/// One command at a time reads the newer events and decides. No command holds the lock while it appends.
pub type SharedFold<Q> = Arc<Mutex<QueryFold<Q>>>;

/// The state of a DCB query, and the events that it contains.
#[derive(Debug)]
pub struct QueryFold<Q> {
    /// The state.
    pub state: Q,
    /// The position up to which the store was read.
    pub position: Position,
    /// The position of the last event that was applied.
    pub last_event: Position,
    /// Set while an event is applied. If it stays set, the code of the user has panicked.
    is_incomplete: bool,
}

impl<Q> QueryFold<Q> {
    /// Creates the state of a query that has not read any event.
    pub fn new(state: Q) -> Self {
        Self {
            state,
            position: Position::ZERO,
            last_event: Position::ZERO,
            is_incomplete: false,
        }
    }

    /// Applies `record`, which the query matches.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded. The state is then unchanged.
    pub fn apply<S: EventSet>(&mut self, record: &RecordedEvent) -> Result<(), DecodeError>
    where
        Q: ApplySet<S>,
    {
        self.is_incomplete = true;
        let applied = self.state.apply_record(record);
        self.is_incomplete = false;
        applied?;
        (self.position, self.last_event) = (record.position, record.position);
        Ok(())
    }

    /// Applies the newer events in the store that match `query`.
    ///
    /// `start` creates a state without events, if the state must be built again.
    pub async fn refresh<S: EventSet>(
        &mut self,
        query: &Query,
        store: &dyn Store,
        start: &(dyn Fn() -> Q + Sync),
    ) -> Result<(), LoadError>
    where
        Q: ApplySet<S>,
    {
        if query.matches_nothing() {
            return Ok(());
        }
        if self.is_incomplete {
            *self = Self::new(start());
        }
        loop {
            let read = Read::all(query.clone()).after(self.position);
            let page = store.read(read).await?;
            if page.head < self.position {
                // The store was restored from a backup that does not contain all of these events.
                *self = Self::new(start());
                continue;
            }
            for record in &page.events {
                self.apply(record)?;
            }
            self.position = page.through();
            if !page.more {
                return Ok(());
            }
        }
    }
}
