//! [`Engine`]: executes commands and loads aggregates.

mod ahead;
mod appending;
mod attempt;
pub mod cache;
mod deadlines;
mod execute;
mod execute_error;
mod history;
mod load;
mod parts;
mod queue;
mod receipt;
mod retry;
pub mod source;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::causality::Causality;
use crate::clock::{Clock, SystemClock};
use crate::command::Decide;
use crate::subscription::Subscription;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;

pub use execute::Execute;
pub use execute_error::ExecuteError;
pub use history::History;
pub use load::{Load, Loaded};
pub use receipt::Receipt;
pub use retry::RetryPolicy;
pub use source::LoadError;

use cache::Cache;
use deadlines::Alarm;
use queue::Queue;
use source::Source;

/// Executes commands and loads aggregates, on any store. A handle: cheap to clone, safe to share.
///
/// One engine per store and process is enough, and best: its queue and its warm states are its own. [`Engine::new`] has
/// the settings that most want; [`Engine::builder`] has others, among them the clock, the retries and how many states
/// are kept warm.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    source: Source,
    queue: Queue,
    retry: RetryPolicy,
    clock: Arc<dyn Clock>,
    alarm: Alarm,
}

/// Settings of an [`Engine`].
pub struct EngineBuilder {
    store: Arc<dyn Store>,
    retry: RetryPolicy,
    cache_capacity: usize,
    clock: Arc<dyn Clock>,
}

impl Engine {
    /// An engine with the default settings.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        Self::builder(store).build()
    }

    /// An engine with other settings.
    #[must_use]
    pub fn builder(store: impl Store) -> EngineBuilder {
        EngineBuilder {
            store: Arc::new(store),
            retry: RetryPolicy::default(),
            cache_capacity: 10_000,
            clock: Arc::new(SystemClock),
        }
    }

    /// Executes `command`: load what it looks at, decide, append, all atomically. Await what comes back,
    /// after adding who and why:
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<C: Decide>(engine: Engine, withdraw: C) -> Result<(), ExecuteError<C::Error>> {
    /// let receipt = engine.execute(withdraw).by("alice").idempotency_key("req-7").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Commands of this engine that aim at the same stream queue; conflicts with other writers are decided
    /// again by the [`RetryPolicy`]. If the future is dropped, the command has happened as a whole or not
    /// at all; an idempotency key makes it safe to ask again.
    pub fn execute<C: Decide>(&self, command: C) -> Execute<'_, C> {
        Execute::new(self, command)
    }

    /// The state of the aggregate `id`: now, or at a version, a time or a position. An aggregate without
    /// events is its default, at version 0.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<A: Aggregate>(engine: Engine, id: A::Id) -> Result<(), LoadError> {
    /// let now = engine.load::<A>(&id).await?;
    /// let first = engine.load::<A>(&id).at_version(1).await?;
    /// # Ok(()) }
    /// ```
    pub fn load<'e, A: Aggregate>(&'e self, id: &'e A::Id) -> Load<'e, A> {
        Load::new(&self.0.source, id)
    }

    /// The events of the aggregate `id`, oldest first, with who, why and when.
    pub fn history<'e, A: Aggregate>(&'e self, id: &'e A::Id) -> History<'e, A> {
        History::new(&self.0.source, id)
    }

    /// Everything that shares a correlation id, as a tree of causes and effects; that of an event stands in its metadata.
    ///
    /// Stores keep no index by it: the tree is found by reading. If the id is a UUIDv7, as those are that the engine makes,
    /// the reading begins at the time in it, less a minute for clocks that differ. That place is found with one read of
    /// one event for each doubling of the store, about 24 for ten million events. From there every event is read up
    /// to the head, so the cost is that of all that the store took since; [`until`](Causality::until) bounds it, and
    /// [`limit`](Causality::limit) the memory. Any other id does not say its time: then everything is read, unless
    /// [`after`](Causality::after) says from where on.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run(engine: Engine, receipt: Receipt) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = receipt.events()[0].metadata.correlation_id.unwrap();
    /// println!("{}", engine.causality(request).await?);
    /// # Ok(()) }
    /// ```
    pub fn causality(&self, correlation: Uuid) -> Causality<'_> {
        Causality::new(&*self.0.source.store, correlation)
    }

    /// The events that match `query` behind `after`: those stored already, then those to come.
    #[must_use]
    pub fn subscribe(&self, query: Query, after: Position) -> Subscription {
        Subscription::new(self.0.source.store.clone(), query, after)
    }

    /// Lets go of the warm states of `streams`: the next who asks has them read from the store. A command that is on
    /// its way meanwhile may leave the state that it has once more.
    pub fn evict<'s>(&self, streams: impl IntoIterator<Item = &'s StreamId>) {
        for stream in streams {
            self.0.source.cache.remove(stream);
        }
    }

    /// Lets go of every warm state.
    pub fn evict_all(&self) {
        self.0.source.cache.clear();
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub fn alarm(&self) -> &Alarm {
        &self.0.alarm
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.source.store
    }
}

impl EngineBuilder {
    /// How often a command is decided again after a conflict.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How many states of aggregates are kept warm; 0: none. Default 10,000.
    #[must_use]
    pub fn cache_capacity(mut self, entries: usize) -> Self {
        self.cache_capacity = entries;
        self
    }

    /// From which clock the time until a [deadline](crate::events::Events::deadline) counts, and by which, where nothing else is
    /// said, process managers see it pass. Default: that of this machine.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        let source = Source {
            store: self.store,
            cache: Cache::new(self.cache_capacity),
        };
        Engine(Arc::new(Inner {
            source,
            queue: Queue::new(),
            retry: self.retry,
            clock: self.clock,
            alarm: Alarm::new(),
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
