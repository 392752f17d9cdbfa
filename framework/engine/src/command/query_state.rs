//! [`QueryState`]: the state of a DCB query.

use std::marker::PhantomData;

use async_trait::async_trait;
use factum_core::append::AppendCondition;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use tokio::sync::OwnedMutexGuard;

use crate::command::part::BoundaryPart;
use crate::domain::error::DecodeError;
use crate::domain::event_set::{ApplySet, EventSet};
use crate::state::cache::CachedState;
use crate::state::due_snapshot::DueSnapshot;
use crate::state::load_error::LoadError;
use crate::state::loader::{CacheHit, StateLoader};
use crate::state::query_fold::QueryFold;

/// The state `Q`, folded from the events of the set `S` that a DCB query finds.
#[derive(Debug)]
pub struct QueryState<Q, S> {
    query: Query,
    fold: FoldAccess<Q>,
    /// The position up to which the decision has read.
    position: Position,
    events: PhantomData<fn() -> S>,
}

/// The access of a command to the state of its query.
#[derive(Debug)]
enum FoldAccess<Q> {
    /// The command has a state of its own.
    Own(QueryFold<Q>),
    /// The command holds the lock of the shared state.
    Locked(OwnedMutexGuard<QueryFold<Q>>),
    /// The command has decided.
    Released,
}

impl<Q: Default, S> QueryState<Q, S> {
    /// Creates the state of a query that has not read any event.
    pub fn new(query: Query) -> Self {
        Self {
            query,
            fold: FoldAccess::Own(QueryFold::default()),
            position: Position::ZERO,
            events: PhantomData,
        }
    }
}

impl<Q, S> QueryState<Q, S> {
    /// Returns the state.
    ///
    /// # Panics
    /// If the command has decided, and has not loaded the state again.
    pub fn state(&self) -> &Q {
        match &self.fold {
            FoldAccess::Own(fold) => &fold.state,
            FoldAccess::Locked(fold) => &fold.state,
            FoldAccess::Released => unreachable!("a decision loads the state of its query first"),
        }
    }
}

impl<Q: ApplySet<S>, S: EventSet> QueryState<Q, S> {
    /// Applies `record` to the state of this command, if the query matches it.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded. The state is then unchanged.
    pub fn apply(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        match &mut self.fold {
            FoldAccess::Own(fold) if self.query.matches(record) => fold.apply(record),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl<Q, S> BoundaryPart for QueryState<Q, S>
where
    Q: ApplySet<S> + Default + Send + Sync + 'static,
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
        let condition = || AppendCondition {
            query: self.query.clone(),
            after: self.position,
        };
        (!self.query.matches_nothing()).then(condition)
    }

    fn load_cached(&mut self, _loader: &StateLoader) -> Option<CacheHit> {
        None
    }

    fn restore(&mut self, _cached: CachedState) -> bool {
        false
    }

    fn release_cached(&self) {}

    fn end_decision(&mut self) {
        self.fold = FoldAccess::Released;
    }

    fn take(&mut self) -> Option<CachedState> {
        None
    }

    fn set_position(&mut self, _position: Position) {}

    async fn load(&mut self, loader: &StateLoader) -> Result<(), LoadError> {
        self.refresh(loader).await.map(drop)
    }

    async fn refresh(&mut self, loader: &StateLoader) -> Result<bool, LoadError> {
        let mut fold = match std::mem::replace(&mut self.fold, FoldAccess::Released) {
            FoldAccess::Locked(fold) => fold,
            FoldAccess::Own(_) | FoldAccess::Released => {
                let shared = loader.cache.query::<Q, S>(&self.query);
                shared.lock_owned().await
            }
        };
        fold.refresh(&self.query, &*loader.store).await?;
        // Another command may have applied the events after the last decision.
        let has_changed = fold.last_event > self.position;
        self.position = fold.position;
        self.fold = FoldAccess::Locked(fold);
        Ok(has_changed)
    }

    fn due_snapshot(&self, _previous: Version) -> Option<DueSnapshot> {
        None
    }

    fn keep(&mut self, _loader: &StateLoader, _previous: Version) {}
}
