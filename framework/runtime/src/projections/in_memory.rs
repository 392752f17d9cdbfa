//! [`InMemory`]: a read model in the memory of the process, filled anew at every start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{ProjectionError, ReadModel, Step, StepError, lease};
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, MemoryDocuments, Revision, Scan,
};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::error::{StoreError, panic_message};
use factum_engine::event_set::EventSet as _;
use factum_engine::projection::{EventsOf, ProjectSet, Projection};

/// A read model in memory: give a clone to [`Projections`](super::Projections), read the other. It is
/// filled from the first event at every start of the program.
pub struct InMemory<P>(Arc<Inner<P>>);

struct Inner<P> {
    make: Box<dyn Fn() -> P + Send + Sync>,
    state: RwLock<State<P>>,
    documents: Arc<Own>,
}

/// How far each partition of each build has come.
#[derive(Default)]
struct Own {
    documents: MemoryDocuments,
    /// Readers may see something else now.
    changes: watch::Sender<()>,
    /// Also how far it has come is news: other partitions may have waited for that.
    tells: bool,
}

#[async_trait]
impl DocumentStore for Own {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let changed = self.documents.change(changes);
        if self.tells {
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

/// A handle that does not keep the read model.
pub struct Weak<P>(std::sync::Weak<Inner<P>>);

impl<P> Weak<P> {
    pub fn upgrade(&self) -> Option<InMemory<P>> {
        self.0.upgrade().map(InMemory)
    }
}

struct State<P> {
    builds: BTreeMap<u64, P>,
    /// The newest event that had its effect on each.
    positions: BTreeMap<u64, Position>,
    /// Which one readers see.
    serving: u64,
    /// Those in which a panic has left half of an effect, perhaps.
    torn: BTreeSet<u64>,
}

impl<P: Projection> InMemory<P> {
    /// A read model that starts as the default of its type.
    #[must_use]
    pub fn new() -> Self
    where
        P: Default,
    {
        Self::from_fn(P::default)
    }

    /// A read model that starts, and starts again on a rebuild, as `make` says.
    #[must_use]
    pub fn from_fn(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let state = RwLock::new(State {
            builds: BTreeMap::from([(0, make())]),
            positions: BTreeMap::new(),
            serving: 0,
            torn: BTreeSet::new(),
        });
        Self(Arc::new(Inner {
            make: Box::new(make),
            state,
            documents: Arc::new(Own {
                tells: P::PARTITIONS > 1,
                ..Own::default()
            }),
        }))
    }

    /// Looks at the read model. The projection waits meanwhile, so do not hold it for long, and not across
    /// an `await`.
    ///
    /// # Panics
    /// If `look` does.
    pub fn read<R>(&self, look: impl FnOnce(&P) -> R) -> R {
        self.read_at(look).0
    }

    /// Also says which is the newest event that had its effect; with several partitions, up to where each of them has come.
    pub fn read_at<R>(&self, look: impl FnOnce(&P) -> R) -> (R, Position) {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let position = match P::PARTITIONS > 1 {
            true => Some(self.come_to(state.serving)),
            false => state.positions.get(&state.serving).copied(),
        };
        let found = match state.builds.get(&state.serving) {
            Some(model) => look(model),
            // Never: what readers see is not discarded.
            None => look(&(self.0.make)()),
        };
        (found, position.unwrap_or_default())
    }

    /// Every partition of `build` has come to here. Effects and checkpoints are changed under one lock, which the caller
    /// holds.
    fn come_to(&self, build: u64) -> Position {
        let keys = lease::keys(P::NAME, (build, P::PARTITIONS));
        let found = self.0.documents.documents.find(&keys);
        let come_to = |key: &String| {
            let document = found.iter().find(|document| document.key == *key);
            lease::position(document).unwrap_or_default()
        };
        keys.iter().map(come_to).min().unwrap_or_default()
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.documents.changes.subscribe()
    }

    pub fn downgrade(&self) -> Weak<P> {
        Weak(Arc::downgrade(&self.0))
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<P>> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
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

#[async_trait]
impl<P> ReadModel for InMemory<P>
where
    P: Projection + ProjectSet<EventsOf<P>>,
{
    fn name(&self) -> &str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn partitions(&self) -> u16 {
        P::PARTITIONS
    }

    fn query(&self) -> Query {
        Query::event_types(P::Events::names())
    }

    fn own_documents(&self) -> Option<Arc<dyn DocumentStore>> {
        Some(self.0.documents.clone())
    }

    async fn prepare(&self, build: u64) -> Result<(), ProjectionError> {
        let mut state = self.write();
        state.builds.entry(build).or_insert_with(|| (self.0.make)());
        Ok(())
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        // All are decoded before the first has an effect.
        let effects: Vec<_> = step
            .events
            .iter()
            .map(P::prepare)
            .collect::<Result<_, _>>()?;
        let build = step.build;
        let newest = step.events.last().map(|event| event.position);
        let mut state = self.write();
        let State {
            builds,
            torn,
            positions,
            ..
        } = &mut *state;
        if torn.contains(&build) {
            return Err(StepError::Torn("it panicked before".to_owned()));
        }
        let Some(model) = builds.get_mut(&build) else {
            return Err(StepError::Lost);
        };
        let revision = self.0.documents.documents.change(step.changes)?;
        let applied = catch_unwind(AssertUnwindSafe(|| {
            for effect in effects {
                effect(model);
            }
        }));
        // What was parked is tried again behind newer events.
        let position = positions.entry(build).or_default();
        *position = newest.unwrap_or_default().max(*position);
        self.0.documents.changes.send_replace(());
        match applied {
            Ok(()) => Ok(revision),
            Err(panic) => {
                torn.insert(build);
                Err(StepError::Torn(panic_message(&*panic)))
            }
        }
    }

    async fn serve(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let build = step.build;
        let revision = step.change().await?;
        let mut state = self.write();
        state.serving = build;
        // The one that readers saw before there was any.
        state.builds.remove(&0);
        self.0.documents.changes.send_replace(());
        Ok(revision)
    }

    async fn discard(&self, build: u64) -> Result<(), ProjectionError> {
        let mut state = self.write();
        state.builds.remove(&build);
        state.positions.remove(&build);
        state.torn.remove(&build);
        Ok(())
    }
}
