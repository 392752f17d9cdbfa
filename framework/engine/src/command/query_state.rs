//! [`QueryState`]: the state of a DCB query.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use factum_core::append::AppendCondition;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use tokio::sync::OwnedMutexGuard;

use crate::command::dcb_query::StartState;
use crate::command::part::{BoundaryPart, QueryPart};
use crate::domain::error::DecodeError;
use crate::domain::event_selection::SelectedTypes;
use crate::domain::event_set::{ApplySet, EventSet};
use crate::state::cache::{AggregateCache, CachedState, QueryKey};
use crate::state::due_snapshot::DueSnapshot;
use crate::state::load_error::LoadError;
use crate::state::loader::{CacheHit, StateLoader};
use crate::state::query_fold::{QueryFold, SharedFold};

/// The state `Q`, folded from the events of the set `S` that a DCB query finds.
#[derive(Debug)]
pub struct QueryState<Q, S> {
    query: Query,
    start: StartState<Q>,
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
    /// The command is about to wait for the lock of the shared state.
    Found(SharedFold<Q>),
    /// The command holds the lock of the shared state.
    Locked(OwnedMutexGuard<QueryFold<Q>>),
    /// The command has decided.
    Released,
}

impl<Q, S> QueryState<Q, S> {
    /// Creates the state of a query that has not read any event.
    pub fn new(query: Query, start: StartState<Q>) -> Self {
        Self {
            query,
            fold: FoldAccess::Own(QueryFold::new(start.create())),
            start,
            position: Position::ZERO,
            events: PhantomData,
        }
    }

    /// Drops the events that were read.
    pub fn restart(&mut self) {
        self.fold = FoldAccess::Own(QueryFold::new(self.start.create()));
        self.position = Position::ZERO;
    }

    /// Returns the state.
    ///
    /// # Panics
    /// If the command has decided, and has not loaded the state again.
    pub fn state(&self) -> &Q {
        match &self.fold {
            FoldAccess::Own(fold) => &fold.state,
            FoldAccess::Locked(fold) => &fold.state,
            FoldAccess::Found(_) | FoldAccess::Released => {
                unreachable!("a decision loads the state of its query first")
            }
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
impl<Q, S> QueryPart for QueryState<Q, S>
where
    Q: ApplySet<S> + Send + Sync + 'static,
    S: EventSet,
{
    fn query(&self) -> &Query {
        &self.query
    }

    fn event_types(&self) -> &'static [SelectedTypes] {
        S::SELECTED
    }

    fn key(&self) -> QueryKey {
        QueryKey {
            fold: TypeId::of::<(QueryFold<Q>, S)>(),
            start: self.start.function(),
            query: self.query.clone(),
            copy: 0,
        }
    }

    fn is_locked(&self) -> bool {
        matches!(self.fold, FoldAccess::Locked(_))
    }

    fn find(&mut self, cache: &AggregateCache, key: QueryKey) -> usize {
        let fold = cache.query(key, || QueryFold::new(self.start.create()));
        let address = Arc::as_ptr(&fold).addr();
        self.fold = FoldAccess::Found(fold);
        address
    }

    async fn lock(&mut self) {
        if let FoldAccess::Found(fold) = &self.fold {
            let fold = Arc::clone(fold);
            self.fold = FoldAccess::Locked(fold.lock_owned().await);
        }
    }

    fn release(&mut self) {
        self.fold = FoldAccess::Released;
    }

    fn condition(&self) -> Option<AppendCondition> {
        let condition = || AppendCondition {
            query: self.query.clone(),
            after: self.position,
        };
        (!self.query.matches_nothing()).then(condition)
    }
}

#[async_trait]
impl<Q, S> BoundaryPart for QueryState<Q, S>
where
    Q: ApplySet<S> + Send + Sync + 'static,
    S: EventSet,
{
    fn as_query(&mut self) -> Option<&mut dyn QueryPart> {
        Some(self)
    }

    fn stream(&self) -> Option<&StreamId> {
        None
    }

    fn version(&self) -> Version {
        Version::ZERO
    }

    fn position(&self) -> Position {
        self.position
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
        let FoldAccess::Locked(fold) = &mut self.fold else {
            unreachable!("a command locks the states of its queries first")
        };
        let start = || self.start.create();
        fold.refresh(&self.query, &*loader.store, &start).await?;
        // Another command may have applied the events after the last decision.
        let has_changed = fold.last_event > self.position;
        self.position = fold.position;
        Ok(has_changed)
    }

    fn due_snapshot(&self, _previous: Version) -> Option<DueSnapshot> {
        None
    }

    fn keep(&mut self, _loader: &StateLoader, _previous: Version) {}
}
