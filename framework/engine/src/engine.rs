//! [`Engine`]: executes commands and loads aggregates.

mod alarm;
mod append_chain;
mod command_key;
mod core;
mod deadline_commands;
mod decision_context;
mod encode_deadlines;
mod execute_and_wait;
mod execute_call;
mod execute_error;
mod execution_loop;
mod find_streams;
mod history;
mod load;
mod pipelined_append;
mod query_locks;
mod receipt;
mod retry_policy;
mod stream_queues;

use std::fmt;
use std::sync::Arc;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;
use uuid::Uuid;

use crate::causality::Causality;
use crate::clock::{Clock, SharedClock, SystemClock};
use crate::command::Decide;
use crate::domain::aggregate::Aggregate;
use crate::domain::codec::Verification;
use crate::domain::deadline::CommandType;
use crate::engine::core::EngineCore;
use crate::engine::deadline_commands::DeadlineCommands;
use crate::engine::stream_queues::StreamQueues;
use crate::state::cache::AggregateCache;
use crate::state::loader::StateLoader;
use crate::subscription::Subscription;

#[doc(hidden)]
pub use crate::engine::alarm::DeadlineAlarm;
pub use crate::engine::execute_and_wait::{ExecuteAndWait, ExecuteAndWaitError, WaitForPosition};
pub use crate::engine::execute_call::Execute;
pub use crate::engine::execute_error::ExecuteError;
pub use crate::engine::history::History;
pub use crate::engine::load::{Load, Loaded};
pub use crate::engine::receipt::Receipt;
pub use crate::engine::retry_policy::RetryPolicy;
pub use crate::state::load_error::LoadError;

/// The number of states in the aggregate cache, unless set.
const CACHE_CAPACITY: usize = 10_000;

/// The maximum number of states in the aggregate cache.
const MAX_CACHE_CAPACITY: usize = 100_000_000;

/// Executes commands and loads aggregates, on any store.
///
/// An engine is a handle: it is cheap to clone and can be shared between tasks. Use one engine for each store in a
/// program, because each engine has a separate aggregate cache and separate queues. [`Engine::new`] has the default
/// settings; [`Engine::builder`] changes the clock, the retry policy and the capacity of the cache.
#[derive(Clone)]
pub struct Engine(Arc<EngineCore>);

/// Builds an [`Engine`] with custom settings.
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    retry: RetryPolicy,
    cache_capacity: usize,
    verification: Verification,
    clock: SharedClock,
}

impl Engine {
    /// Creates an engine with the default settings.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self::builder(store).build()
    }

    /// Returns a builder for an engine with other settings.
    #[must_use]
    pub fn builder(store: impl Store) -> EngineBuilder {
        EngineBuilder {
            store: Arc::new(store),
            retry: RetryPolicy::default(),
            cache_capacity: CACHE_CAPACITY,
            verification: match cfg!(debug_assertions) {
                true => Verification::Full,
                false => Verification::Cheap,
            },
            clock: SharedClock::new(SystemClock),
        }
    }

    /// Executes `command`: loads the state, decides, and appends the events atomically.
    ///
    /// Add metadata, then await the result:
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<C: Decide>(engine: Engine, withdraw: C) -> Result<(), ExecuteError<C::Error>> {
    /// let receipt = engine.execute(withdraw).by("alice").idempotency_key("req-7").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Commands of this engine on the same stream wait for each other. After a conflict with another writer, the
    /// command is decided again, as often as the [`RetryPolicy`] allows.
    ///
    /// The result is a [`Receipt`] with the stored events, or an [`ExecuteError`]; the rejection of the domain is
    /// [`ExecuteError::Rejected`].
    ///
    /// If the future is dropped, the command is executed as a whole or not at all. With an idempotency key, it is safe
    /// to execute the command again.
    pub fn execute<C: Decide>(&self, command: C) -> Execute<'_, C> {
        Execute::new(&self.0, command)
    }

    /// Loads the state of the aggregate `id`: now, or at a version, a time or a position.
    ///
    /// The result is a [`Loaded`], which dereferences to the state, or a [`LoadError`]. An aggregate without events has its
    /// default state, at version 0; [`Loaded::exists`] is then `false`.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<A: Aggregate>(engine: Engine, id: A::Id) -> Result<(), LoadError> {
    /// let now = engine.load::<A>(&id).await?;
    /// let first = engine.load::<A>(&id).at_version(1).await?;
    /// # Ok(()) }
    /// ```
    pub fn load<'e, A: Aggregate>(&'e self, id: &'e A::Id) -> Load<'e, A> {
        Load::new(&self.0.loader, id)
    }

    /// Reads the events of the aggregate `id` with their metadata, oldest first.
    pub fn history<'e, A: Aggregate>(&'e self, id: &'e A::Id) -> History<'e, A> {
        History::new(&self.0.loader, id)
    }

    /// Finds all events with a correlation id, as a tree of causes and effects.
    ///
    /// Stores have no index of correlation ids, so the events are found by reading the log. If the id is a UUIDv7, as
    /// the engine creates them, reading starts at the time in the id, minus one minute for different clocks. The start
    /// is found by a binary search: about 24 reads of one event for ten million events. All events from this position
    /// to the head are read; [`until`](Causality::until) limits them, and [`limit`](Causality::limit) limits the
    /// memory. For other ids, everything is read, unless [`after`](Causality::after) sets the start.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run(engine: Engine, receipt: Receipt) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = receipt.events()[0].metadata.correlation_id.unwrap();
    /// println!("{}", engine.causality(request).await?);
    /// # Ok(()) }
    /// ```
    pub fn causality(&self, correlation: Uuid) -> Causality<'_> {
        Causality::new(&*self.0.loader.store, correlation)
    }

    /// Subscribes to the events after `after` that match `query`: first the stored ones, then new ones.
    #[must_use]
    pub fn subscribe(&self, query: Query, after: Position) -> Subscription {
        Subscription::new(self.0.loader.store.clone(), query, after)
    }

    /// Returns the head: the position of the last event in the log.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the store fails.
    pub async fn head(&self) -> Result<Position, StoreError> {
        let newest = Read::all(Query::all()).backward().limit(1);
        Ok(self.store().read(newest).await?.head)
    }

    /// Removes the states of `streams`, and those of all DCB queries, from the aggregate cache.
    ///
    /// The next command reads them from the store again. A command that is executed at the same time may put its state
    /// into the cache again.
    pub fn evict<'s>(&self, streams: impl IntoIterator<Item = &'s StreamId>) {
        for stream in streams {
            self.0.loader.cache.remove(stream);
        }
        self.0.loader.cache.clear_queries();
    }

    /// Removes all states from the aggregate cache.
    pub fn evict_all(&self) {
        self.0.loader.cache.clear();
    }

    /// Returns the clock for deadlines.
    #[doc(hidden)]
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Records that a runtime executes the command `name` when a deadline is due.
    #[doc(hidden)]
    pub fn add_deadline_command(&self, name: &'static str, command_type: CommandType) {
        self.0.deadline_commands.add(name, command_type);
    }

    /// Returns the alarm that wakes the executor of deadlines.
    #[doc(hidden)]
    #[must_use]
    pub fn alarm(&self) -> &DeadlineAlarm {
        &self.0.alarm
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.loader.store
    }
}

impl EngineBuilder {
    /// Sets the retry policy of commands: the number of attempts and the delays between them.
    ///
    /// # Panics
    /// Panics if [`RetryPolicy::check`] fails.
    #[must_use]
    #[track_caller]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        if let Err(rule) = policy.check() {
            panic!("{rule}");
        }
        self.retry = policy;
        self
    }

    /// Sets the maximum number of states in the aggregate cache.
    ///
    /// The cache has this number of states of aggregates, and as many of DCB queries.
    /// The default is 10,000; 0 disables the cache.
    ///
    /// # Panics
    /// Panics if there are more than 100 million.
    #[must_use]
    #[track_caller]
    pub fn cache_capacity(mut self, entries: usize) -> Self {
        assert!(
            entries <= MAX_CACHE_CAPACITY,
            "invalid `cache_capacity`: {entries}; expected at most {MAX_CACHE_CAPACITY}"
        );
        self.cache_capacity = entries;
        self
    }

    /// Sets whether each event is decoded before it is stored.
    ///
    /// Some implementations of `Serialize` write JSON that `Deserialize` does not read. Such an event would make its stream
    /// unreadable. With this check, the command fails with [`ExecuteError::Encode`] instead. If the event type implements
    /// `PartialEq`, the decoded event must also equal the original. The check costs the time of decoding each new event.
    /// By default, it is on in builds with debug assertions, and off in others.
    ///
    /// Numbers that are not finite, and JSON that is nested too deeply, are always rejected.
    #[must_use]
    pub fn verify_encoding(mut self, is_verified: bool) -> Self {
        self.verification = match is_verified {
            true => Verification::Full,
            false => Verification::Cheap,
        };
        self
    }

    /// Sets the clock of `now` in decisions, and of [deadlines](crate::events::Events::deadline).
    ///
    /// The default is the system clock.
    ///
    /// Process managers use it, too, unless the runtime has another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Builds the engine.
    #[must_use]
    pub fn build(self) -> Engine {
        Engine(Arc::new(EngineCore {
            loader: StateLoader {
                store: self.store,
                cache: AggregateCache::new(self.cache_capacity),
            },
            queues: StreamQueues::new(),
            retry: self.retry,
            verification: self.verification,
            clock: self.clock,
            deadline_commands: DeadlineCommands::default(),
            alarm: DeadlineAlarm::new(),
        }))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
