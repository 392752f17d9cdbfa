use std::{
    convert::Infallible,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use benchmark_harness::{
    anyhow::{Result, bail},
    tokio::{self, sync::Notify},
};
use eventcore::{Event, ProjectionConfig, Projector, StreamPosition, run_projection};
use eventcore_memory::{InMemoryCheckpointStore, InMemoryProjectorCoordinator};
use eventcore_types::{CheckpointStore, EventFilter, EventPage, EventReader, ProjectorCoordinator};

use crate::command::Deposited;

/// Counts the events of the store until their number is `events`.
///
/// The run is continuous without a pause between pages, because a batch run ends after one page of 1000.
pub async fn count<S>(store: Arc<S>, events: usize) -> Result<usize>
where
    S: EventReader + Send + Sync + 'static,
    S::Error: Display + Send,
{
    let counter = Counter {
        expected: events,
        ..Counter::default()
    };
    let (seen, done) = (counter.seen.clone(), counter.done.clone());
    let backend = InMemoryState::over(store);
    let config = ProjectionConfig::default()
        .continuous()
        .poll_interval(Duration::ZERO);
    tokio::select! {
        () = done.notified() => Ok(seen.load(Ordering::Relaxed)),
        ended = run_projection(counter, &backend, config) => bail!("the projection ended: {ended:?}"),
    }
}

#[derive(Default)]
struct Counter {
    expected: usize,
    seen: Arc<AtomicUsize>,
    done: Arc<Notify>,
}

impl Projector for Counter {
    type Event = Deposited;
    type Error = Infallible;
    type Context = ();

    fn apply(&mut self, _: Deposited, _: StreamPosition, (): &mut ()) -> Result<(), Infallible> {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.expected {
            self.done.notify_one();
        }
        Ok(())
    }

    fn name(&self) -> &str {
        "counter"
    }
}

/// Reads events from the store and keeps checkpoints in memory.
///
/// A checkpoint is saved after each event, and must not outlive the counter.
struct InMemoryState<S> {
    store: Arc<S>,
    checkpoints: InMemoryCheckpointStore,
    coordinator: InMemoryProjectorCoordinator,
}

impl<S> InMemoryState<S> {
    fn over(store: Arc<S>) -> Self {
        let checkpoints = InMemoryCheckpointStore::new();
        Self {
            store,
            checkpoints,
            coordinator: InMemoryProjectorCoordinator::new(),
        }
    }
}

impl<S: EventReader + Send + Sync> EventReader for InMemoryState<S> {
    type Error = S::Error;

    async fn read_events<E: Event>(
        &self,
        filter: EventFilter,
        page: EventPage,
    ) -> Result<Vec<(E, StreamPosition)>, S::Error> {
        self.store.read_events(filter, page).await
    }
}

impl<S: Send + Sync> CheckpointStore for InMemoryState<S> {
    type Error = <InMemoryCheckpointStore as CheckpointStore>::Error;

    async fn load(&self, name: &str) -> Result<Option<StreamPosition>, Self::Error> {
        self.checkpoints.load(name).await
    }

    async fn save(&self, name: &str, position: StreamPosition) -> Result<(), Self::Error> {
        self.checkpoints.save(name, position).await
    }
}

impl<S: Send + Sync> ProjectorCoordinator for InMemoryState<S> {
    type Error = <InMemoryProjectorCoordinator as ProjectorCoordinator>::Error;
    type Guard = <InMemoryProjectorCoordinator as ProjectorCoordinator>::Guard;

    async fn try_acquire(&self, name: &str) -> Result<Self::Guard, Self::Error> {
        self.coordinator.try_acquire(name).await
    }
}
