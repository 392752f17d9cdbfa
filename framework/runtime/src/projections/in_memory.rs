//! [`InMemory`]: a read model in the memory of the process.

use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};

use async_trait::async_trait;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, MemoryDocuments, Revision, Scan,
};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::error::{StoreError, panic_message};
use factum_engine::event_set::EventSet as _;
use factum_engine::projection::{EventsOf, ProjectSet, Projection};
use factum_engine::record::RecordedEvent;
use tokio::sync::watch;

use crate::consumer::{
    Batch, BatchError, Consumer, ConsumerObserver, EventError, ReadModel, checkpoint_position,
    lease_keys,
};

/// A read model in memory: give one clone to the [runtime](crate::Runtime) and read the other.
///
/// It processes all events from the first one whenever the program starts.
pub struct InMemory<P>(Arc<SharedModel<P>>);

struct SharedModel<P> {
    create: Box<dyn Fn() -> P + Send + Sync>,
    builds: RwLock<Builds<P>>,
    documents: Arc<LocalDocuments>,
    /// The consumer that fills the read model; `None` before the runtime starts.
    observer: watch::Sender<Option<ConsumerObserver>>,
}

/// The checkpoints of the partitions of each build.
#[derive(Default)]
struct LocalDocuments {
    documents: MemoryDocuments,
    /// Notifies that readers may see a change.
    changes: watch::Sender<()>,
    /// Set if readers must also see changes of checkpoints, because other partitions may wait for them.
    notifies_checkpoints: bool,
}

#[async_trait]
impl DocumentStore for LocalDocuments {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let changed = self.documents.change(changes);
        if self.notifies_checkpoints {
            self.changes.send_replace(());
        }
        changed
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        Ok(self.documents.find(keys))
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.documents.scan_documents(scan).await
    }
}

/// A handle that does not keep the read model alive.
pub(crate) struct WeakInMemory<P>(Weak<SharedModel<P>>);

impl<P> WeakInMemory<P> {
    pub(crate) fn upgrade(&self) -> Option<InMemory<P>> {
        self.0.upgrade().map(InMemory)
    }
}

struct Builds<P> {
    builds: BTreeMap<u64, P>,
    /// The newest processed event of each build.
    positions: BTreeMap<u64, Position>,
    /// The number of the active build.
    active: u64,
    /// The builds that may contain a part of an event's effects, because the projection panicked.
    inconsistent: BTreeSet<u64>,
}

impl<P: Projection> InMemory<P> {
    /// Creates a read model that starts with the default value of its type.
    #[must_use]
    pub fn new() -> Self
    where
        P: Default,
    {
        Self::from_fn(P::default)
    }

    /// Creates a read model that starts with the value that `create` returns, also on a rebuild.
    #[must_use]
    pub fn from_fn(create: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let builds = RwLock::new(Builds {
            builds: BTreeMap::from([(0, create())]),
            positions: BTreeMap::new(),
            active: 0,
            inconsistent: BTreeSet::new(),
        });
        Self(Arc::new(SharedModel {
            create: Box::new(create),
            builds,
            documents: Arc::new(LocalDocuments {
                notifies_checkpoints: P::PARTITIONS > 1,
                ..LocalDocuments::default()
            }),
            observer: watch::Sender::new(None),
        }))
    }

    /// Returns the result of `query` on the read model.
    ///
    /// The projection waits meanwhile, so keep `query` short.
    ///
    /// # Panics
    /// Panics if `query` does.
    pub fn read<R>(&self, query: impl FnOnce(&P) -> R) -> R {
        self.read_at(query).0
    }

    /// Returns the result of `query`, and the position of the newest processed event.
    ///
    /// With several partitions, it is the position that every partition has reached.
    pub(crate) fn read_at<R>(&self, query: impl FnOnce(&P) -> R) -> (R, Position) {
        let builds = self.0.builds.read().unwrap_or_else(PoisonError::into_inner);
        let position = match P::PARTITIONS > 1 {
            true => Some(self.checkpoint(builds.active)),
            false => builds.positions.get(&builds.active).copied(),
        };
        let found = match builds.builds.get(&builds.active) {
            Some(model) => query(model),
            // Unreachable: the active build is never dropped.
            None => query(&(self.0.create)()),
        };
        (found, position.unwrap_or_default())
    }

    /// Returns the position that every partition of `build` has reached.
    ///
    /// Effects and checkpoints change under one lock, which the caller holds.
    fn checkpoint(&self, build: u64) -> Position {
        let keys = lease_keys(P::NAME, build, P::PARTITIONS);
        let found = self.0.documents.documents.find(&keys);
        let position = |key: &String| {
            let document = found.iter().find(|document| document.key == *key);
            checkpoint_position(document).unwrap_or_default()
        };
        keys.iter().map(position).min().unwrap_or_default()
    }

    /// Returns a receiver that is notified when readers may see a change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.documents.changes.subscribe()
    }

    /// Returns a receiver of the consumer that fills the read model.
    pub(crate) fn observer(&self) -> watch::Receiver<Option<ConsumerObserver>> {
        self.0.observer.subscribe()
    }

    /// Returns a handle that does not keep the read model alive.
    pub(crate) fn downgrade(&self) -> WeakInMemory<P> {
        WeakInMemory(Arc::downgrade(&self.0))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Builds<P>> {
        self.0
            .builds
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Projection + Default> Default for InMemory<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Clone for InMemory<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Projection> fmt::Debug for InMemory<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory")
            .field("name", &P::NAME)
            .finish_non_exhaustive()
    }
}

impl<P> Consumer for InMemory<P>
where
    P: Projection + ProjectSet<EventsOf<P>>,
{
    fn name(&self) -> &str {
        P::NAME
    }

    fn query(&self) -> Query {
        Query::event_types(P::Events::names())
    }

    fn partitions(&self) -> u16 {
        P::PARTITIONS
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        // All events are decoded before the first takes effect.
        let current = Cell::new(Position::ZERO);
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            let prepare = |event: &RecordedEvent| {
                current.set(event.position);
                P::prepare(event)
            };
            batch
                .events
                .iter()
                .map(prepare)
                .collect::<Result<Vec<_>, _>>()
        }));
        let panicked =
            |panic: Box<dyn Any + Send>| EventError::handler(current.get(), panic_message(&*panic));
        let effects = prepared.map_err(panicked)??;
        let build = batch.build;
        let newest = batch.events.last().map(|event| event.position);
        let mut state = self.write();
        let Builds {
            builds,
            inconsistent,
            positions,
            ..
        } = &mut *state;
        if inconsistent.contains(&build) {
            let reason = "the projection panicked before".to_owned();
            return Err(BatchError::Inconsistent { reason });
        }
        let Some(model) = builds.get_mut(&build) else {
            return Err(BatchError::LeaseLost);
        };
        // If an effect panics, the checkpoint stays, so that the worker can store the reason of its stop.
        let apply = || {
            let applied = catch_unwind(AssertUnwindSafe(|| {
                for effect in effects {
                    effect(model);
                }
            }));
            applied.map_err(|panic| {
                inconsistent.insert(build);
                let reason = panic_message(&*panic);
                BatchError::Inconsistent { reason }
            })
        };
        let documents = &self.0.documents.documents;
        let revision = documents.change_with(batch.changes, apply);
        if revision.is_ok() {
            // A retried event may be older than the newest.
            let position = positions.entry(build).or_default();
            *position = newest.unwrap_or_default().max(*position);
        }
        self.0.documents.changes.send_replace(());
        revision
    }
}

impl<P> ReadModel for InMemory<P>
where
    P: Projection + ProjectSet<EventsOf<P>>,
{
    fn version(&self) -> u32 {
        P::VERSION
    }

    fn local_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        Some(self.0.documents.clone())
    }

    fn started(&self, observer: ConsumerObserver) {
        self.0.observer.send_replace(Some(observer));
    }

    async fn prepare(&self, build: u64) -> Result<(), BatchError> {
        let mut state = self.write();
        state
            .builds
            .entry(build)
            .or_insert_with(|| (self.0.create)());
        Ok(())
    }

    async fn promote(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let build = batch.build;
        let revision = batch.commit().await?;
        let mut state = self.write();
        state.active = build;
        // The build that readers saw before there was an active one.
        state.builds.remove(&0);
        self.0.documents.changes.send_replace(());
        Ok(revision)
    }

    async fn drop_build(&self, build: u64) -> Result<(), BatchError> {
        let mut state = self.write();
        state.builds.remove(&build);
        state.positions.remove(&build);
        state.inconsistent.remove(&build);
        Ok(())
    }
}
