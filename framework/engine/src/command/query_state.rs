//! [`QueryState`]: the state of a DCB query.

use std::marker::PhantomData;

use async_trait::async_trait;
use factum_core::append::AppendCondition;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::record::RecordedEvent;
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;

use crate::command::part::BoundaryPart;
use crate::domain::error::DecodeError;
use crate::domain::event_set::{ApplySet, EventSet};
use crate::state::cache::CachedState;
use crate::state::load_error::LoadError;
use crate::state::loader::{CacheHit, StateLoader};

/// The state `Q`, folded from the events of the set `S` that a DCB query finds.
#[derive(Debug)]
pub struct QueryState<Q, S> {
    query: Query,
    state: Q,
    /// The position up to which the store was read.
    position: Position,
    events: PhantomData<fn() -> S>,
}

impl<Q: Default, S> QueryState<Q, S> {
    /// Creates the state of a query that has not read any event.
    pub fn new(query: Query) -> Self {
        Self {
            query,
            state: Q::default(),
            position: Position::ZERO,
            events: PhantomData,
        }
    }
}

impl<Q, S> QueryState<Q, S> {
    /// Returns the state.
    pub fn state(&self) -> &Q {
        &self.state
    }
}

impl<Q: ApplySet<S>, S: EventSet> QueryState<Q, S> {
    /// Applies `record` to the state, if the query matches it.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded. The state is then unchanged.
    pub fn apply(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        if !self.query.matches(record) {
            return Ok(());
        }
        self.state.apply_record(record)
    }
}

#[async_trait]
impl<Q, S> BoundaryPart for QueryState<Q, S>
where
    Q: ApplySet<S> + Send + Sync,
    S: EventSet,
{
    fn stream(&self) -> Option<&StreamId> {
        None
    }

    fn version(&self) -> Version {
        Version::ZERO
    }

    fn position(&self) -> Position {
        self.position
    }

    fn condition(&self) -> Option<AppendCondition> {
        Some(AppendCondition {
            query: self.query.clone(),
            after: self.position,
        })
    }

    fn load_cached(&mut self, _loader: &StateLoader) -> Option<CacheHit> {
        None
    }

    fn restore(&mut self, _cached: CachedState) -> bool {
        false
    }

    fn release_cached(&self) {}

    fn take(&mut self) -> Option<CachedState> {
        None
    }

    fn set_position(&mut self, _position: Position) {}

    async fn load(&mut self, loader: &StateLoader) -> Result<(), LoadError> {
        self.refresh(loader).await.map(drop)
    }

    async fn refresh(&mut self, loader: &StateLoader) -> Result<bool, LoadError> {
        let mut has_changed = false;
        loop {
            let read = Read::all(self.query.clone()).after(self.position);
            let page = loader.store.read(read).await?;
            for record in &page.events {
                self.apply(record)?;
                has_changed = true;
            }
            self.position = page.through();
            if !page.more {
                return Ok(has_changed);
            }
        }
    }

    fn due_snapshot(&self, _previous: Version) -> Option<Snapshot> {
        None
    }

    fn keep(&mut self, _loader: &StateLoader, _previous: Version) {}
}
