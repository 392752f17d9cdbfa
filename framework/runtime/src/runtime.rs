//! [`Runtime`]: runs projections, process managers, schedules and event handlers.

mod builder;
mod database_check;
mod node;
mod running;
mod start_error;
mod start_positions;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_engine::clock::{Clock, SharedClock};
use factum_engine::engine::{Engine, WaitForPosition};
use factum_engine::process::ProcessManager;
use factum_engine::projection::Projection;
use futures_util::future::{join_all, select_all};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::warn;
use uuid::Uuid;

use crate::consumer::{
    ConsumerHandle, ConsumerState, ConsumerStatus, ConsumerTask, ControlError, WaitError,
};
use crate::log_head::read_head;
use crate::process::{self, DeliveryHandle, DispatcherTask, Orphan, ProcessHandle};
use crate::projections::ProjectionHandle;

pub use builder::{ProcessOptions, RuntimeBuilder};
use node::Node;
use running::{ConsumerKind, RunningConsumer};
pub use start_error::StartError;

/// The interval at which the work of other nodes is read while a caller waits for it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The time that a stopping node waits for the store to remove its heartbeat.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs projections, process managers, schedules and event handlers, each in separate tasks.
///
/// If the runtime is dropped, its tasks end in the background, after their current batch, and release their leases, so
/// that other nodes continue at once. [`stop`](Self::stop) waits for that.
///
/// ```no_run
/// # use factum::prelude::*;
/// # use factum::process::ReactSet;
/// # use factum::runtime::{EventHandler, ReadModel};
/// # async fn run<Owners, Fulfilment, OrderEvent>(
/// #     engine: Engine, read_model: impl ReadModel, send_mail: impl EventHandler<OrderEvent>, receipt: Receipt,
/// # ) -> Result<(), Box<dyn std::error::Error>>
/// # where
/// #     Owners: Projection,
/// #     Fulfilment: Respond + ReactSet<<Fulfilment as ProcessManager>::Events>,
/// #     OrderEvent: Event,
/// # {
/// let runtime = Runtime::builder(&engine)
///     .projection(read_model) // InMemory::new(), or store.read_model(…)
///     .process::<Fulfilment>(StartFrom::Beginning)
///     .handler("mails", send_mail, StartFrom::End)
///     .start()
///     .await?;
///
/// let owners = runtime.projection::<Owners>()?;
/// owners.wait_for(receipt.position()).await?; // read your own write
/// for status in runtime.status() {
///     println!("{} is {} events behind", status.name, status.lag());
/// }
/// runtime.stop().await;
/// # Ok(()) }
/// ```
///
/// | task | call |
/// |---|---|
/// | Read your own write | `engine.execute(command).and_wait(&owners)` |
/// | Wait for all events that are stored now | [`wait_until_caught_up`](Self::wait_until_caught_up) |
/// | Wait until no work is left, in tests | [`wait_until_idle`](Self::wait_until_idle) |
/// | Get the status, or watch it | [`status`](Self::status), [`ConsumerHandle::watch`] |
/// | Rebuild a read model | [`ProjectionHandle::rebuild`] |
/// | Roll out a new version | [`ProjectionHandle::wait_until_current`], [`ProjectionHandle::promote`] |
/// | List, retry or discard dead letters | [`ConsumerHandle::dead_letters`], [`ConsumerHandle::retry`], [`ConsumerHandle::discard`] |
/// | List, retry or discard failed commands | [`DeliveryHandle::failed_deliveries`] |
/// | Pause and resume | [`ConsumerHandle::pause`], [`ConsumerHandle::resume`] |
pub struct Runtime {
    consumers: Vec<RunningConsumer>,
    schedules: Option<DeliveryHandle>,
    deadlines: Option<DeliveryHandle>,
    dispatchers: Vec<DispatcherTask>,
    /// The names of the schedules.
    schedule_names: HashSet<String>,
    node: Node,
    engine: Engine,
    clock: SharedClock,
    shutdown: watch::Sender<bool>,
    stop_timeout: Duration,
}

impl Runtime {
    /// Returns the handle of the projection `P`.
    ///
    /// # Errors
    /// Returns [`ControlError::Unknown`] if the runtime does not run it.
    pub fn projection<P: Projection>(&self) -> Result<ProjectionHandle, ControlError> {
        self.projection_named(P::NAME)
    }

    /// Returns the handle of the projection `name`.
    ///
    /// # Errors
    /// Returns [`ControlError::Unknown`] if the runtime does not run it.
    pub fn projection_named(&self, name: &str) -> Result<ProjectionHandle, ControlError> {
        let found = self.find(ConsumerKind::Projection, name)?;
        Ok(ProjectionHandle::new(found.handle().clone()))
    }

    /// Returns the handle of the process manager `P`.
    ///
    /// # Errors
    /// Returns [`ControlError::Unknown`] if the runtime does not run it.
    pub fn process<P: ProcessManager>(&self) -> Result<ProcessHandle, ControlError> {
        self.process_named(P::NAME)
    }

    /// Returns the handle of the process manager `name`.
    ///
    /// # Errors
    /// Returns [`ControlError::Unknown`] if the runtime does not run it.
    pub fn process_named(&self, name: &str) -> Result<ProcessHandle, ControlError> {
        let found = self.find(ConsumerKind::ProcessManager, name)?;
        match found.deliveries() {
            Some(deliveries) => Ok(ProcessHandle::new(
                found.handle().clone(),
                deliveries.clone(),
            )),
            None => Err(self.unknown(ConsumerKind::ProcessManager, name)),
        }
    }

    /// Returns the handle of the event handler `name`.
    ///
    /// # Errors
    /// Returns [`ControlError::Unknown`] if the runtime does not run it.
    pub fn handler(&self, name: &str) -> Result<ConsumerHandle, ControlError> {
        Ok(self
            .find(ConsumerKind::EventHandler, name)?
            .handle()
            .clone())
    }

    /// Returns the handles of all consumers, for tools.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerHandle> {
        self.consumers.iter().map(RunningConsumer::handle)
    }

    /// Returns the handle of the commands of schedules; `None` if the runtime runs none.
    #[must_use]
    pub fn schedules(&self) -> Option<&DeliveryHandle> {
        self.schedules.as_ref()
    }

    /// Returns the handle of the commands of decisions' deadlines; `None` if the runtime executes none.
    #[must_use]
    pub fn deadlines(&self) -> Option<&DeliveryHandle> {
        self.deadlines.as_ref()
    }

    fn find(&self, kind: ConsumerKind, name: &str) -> Result<&RunningConsumer, ControlError> {
        let mut consumers = self.consumers.iter();
        let found = consumers.find(|consumer| consumer.is(kind, name));
        found.ok_or_else(|| self.unknown(kind, name))
    }

    fn unknown(&self, kind: ConsumerKind, name: &str) -> ControlError {
        let known = self.consumers.iter().filter(|it| it.kind() == kind);
        ControlError::Unknown {
            kind: kind.as_str(),
            name: name.to_owned(),
            known: known.map(|it| it.name().to_owned()).collect(),
        }
    }

    /// Returns the status of every consumer.
    #[must_use]
    pub fn status(&self) -> Vec<ConsumerStatus> {
        self.consumers().map(ConsumerHandle::status).collect()
    }

    /// Returns the id of this node, as [`ConsumerStatus::nodes`] contains it.
    ///
    /// A read model in memory reports another id, because no other node sees it.
    #[must_use]
    pub fn node(&self) -> Uuid {
        self.node.id()
    }

    /// Waits until every consumer has processed the events up to `position`, on this node or another.
    ///
    /// The commands of process managers are stored then, but may not be executed yet.
    ///
    /// # Errors
    /// Returns [`WaitError`] for a consumer that has stopped.
    pub async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        for consumer in self.consumers() {
            consumer.wait_for(position).await?;
        }
        Ok(())
    }

    /// Waits until every consumer has processed the events that are stored now.
    ///
    /// # Errors
    /// Returns [`ControlError::Wait`] for a consumer that has stopped, and [`ControlError::Store`] if the store fails.
    pub async fn wait_until_caught_up(&self) -> Result<(), ControlError> {
        Ok(self.wait_for(self.engine.head().await?).await?)
    }

    /// Waits until every projection [is current](ProjectionHandle::wait_until_current).
    ///
    /// # Errors
    /// Returns [`ControlError::Wait`] for a projection that has stopped or whose promotion is blocked, and
    /// [`ControlError::Store`] if the store fails.
    pub async fn wait_until_current(&self) -> Result<(), ControlError> {
        for projection in self.projections() {
            projection.wait_until_current().await?;
        }
        Ok(())
    }

    fn projections(&self) -> impl Iterator<Item = ProjectionHandle> {
        let consumers = self.consumers.iter();
        let projections = consumers.filter(|it| it.kind() == ConsumerKind::Projection);
        projections.map(|it| ProjectionHandle::new(it.handle().clone()))
    }

    fn deliveries(&self) -> impl Iterator<Item = &DeliveryHandle> {
        let processes = self
            .consumers
            .iter()
            .filter_map(RunningConsumer::deliveries);
        processes.chain(&self.schedules).chain(&self.deadlines)
    }

    /// Waits until every event is processed and no work is due.
    ///
    /// All work is then done or has failed permanently, and so has all work that followed from it. The call does not
    /// end while new events arrive. It does not wait for work that needs newer code, nor for
    /// requested retries and discards of dead letters.
    ///
    /// # Errors
    /// Returns [`ControlError`] if a consumer has stopped, due work cannot be decoded, or the store fails.
    pub async fn wait_until_idle(&self) -> Result<(), ControlError> {
        loop {
            let progress: Vec<_> = self
                .deliveries()
                .map(|it| it.signals().progress())
                .collect();
            match self.is_idle().await {
                Ok(true) => return Ok(()),
                Ok(false)
                | Err(ControlError::Store(
                    StoreError::Unavailable(_) | StoreError::Interrupted(_),
                )) => {}
                Err(error) => return Err(error),
            }
            let progress = progress.into_iter().map(|mut progress| {
                Box::pin(async move {
                    // If the sender is gone, the timeout below applies.
                    if progress.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
            });
            let progress: Vec<_> = progress.collect();
            if progress.is_empty() {
                tokio::time::sleep(POLL_INTERVAL).await;
            } else {
                let _ = tokio::time::timeout(POLL_INTERVAL, select_all(progress)).await;
            }
        }
    }

    async fn is_idle(&self) -> Result<bool, ControlError> {
        let store = &**self.engine.store();
        let head = read_head(store).await?;
        self.wait_for(head).await?;
        let now = self.clock.now();
        for deliveries in self.deliveries() {
            if deliveries.has_due_work(now).await? {
                return Ok(false);
            }
        }
        Ok(read_head(store).await? == head)
    }

    /// Rebuilds every projection that processes one of these event types, and drops the old builds.
    ///
    /// Call it after the erasure of a data subject. When the call returns, no reader of shared tables or of
    /// this node's read models in memory sees data of the subject; call it on every node that has read models in memory. The old
    /// tables are dropped one [lease](RuntimeBuilder::lease) later. All rebuilds are requested before the call waits
    /// for the first one, and continue if the future is dropped. The call waits for a paused projection until it is
    /// resumed. Returns the names of the projections.
    ///
    /// # Errors
    /// Returns [`ControlError`] for the first projection that stops, or if the store fails. The other projections are
    /// still rebuilt. The call can be repeated.
    pub async fn rebuild_erased(
        &self,
        event_types: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<String>, ControlError> {
        let event_types: BTreeSet<String> = event_types
            .into_iter()
            .map(|event_type| event_type.as_ref().to_owned())
            .collect();
        let affected: Vec<ProjectionHandle> = self
            .projections()
            .filter(|it| {
                it.context()
                    .consumer
                    .query()
                    .may_match_event_types(&event_types)
            })
            .collect();
        let rebuilds = affected.iter().map(|projection| async move {
            projection.rebuild().await?;
            projection.prune_builds().await
        });
        let rebuilt = join_all(rebuilds).await;
        rebuilt.into_iter().collect::<Result<(), _>>()?;
        Ok(affected.iter().map(|it| it.name().to_owned()).collect())
    }

    /// Returns the stored process managers, event handlers and schedules that this runtime does not define.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, ControlError> {
        let consumers = self.consumers().map(|it| it.name().to_owned()).collect();
        let documents = &**self.engine.store();
        Ok(process::orphans(documents, &consumers, &self.schedule_names).await?)
    }

    /// Deletes the schedule `name` with its next run and its failed deliveries.
    ///
    /// Use it for a schedule that no program runs any more. Returns whether the schedule existed.
    ///
    /// # Errors
    /// Returns [`ControlError::ScheduleInUse`] if this runtime runs it, or [`ControlError::Store`] if the store fails.
    pub async fn delete_schedule(&self, name: &str) -> Result<bool, ControlError> {
        if self.schedule_names.contains(name) {
            let name = name.to_owned();
            return Err(ControlError::ScheduleInUse { name });
        }
        let documents = &**self.engine.store();
        let deleted = process::delete_schedule(documents, name).await?;
        if let Some(schedules) = &self.schedules {
            schedules.signals().wake();
        }
        Ok(deleted)
    }

    /// Lets every task finish its current batch, and releases the leases of this node.
    ///
    /// Tasks that do not finish within the [timeout](RuntimeBuilder::stop_timeout) are aborted, and a warning names them. Their
    /// events are processed again later. Code that never yields continues to run on its thread. Further calls wait, too.
    pub async fn stop(&self) {
        let started = Instant::now();
        let remaining = |limit: Duration| limit.saturating_sub(started.elapsed());
        self.shutdown.send_replace(true);
        // Dispatchers need the leases of their consumers.
        let dispatchers = join_all(self.dispatchers.iter().map(DispatcherTask::ended));
        let _ = timeout(remaining(self.stop_timeout / 2), dispatchers).await;
        let tasks = || self.consumers.iter().map(RunningConsumer::task);
        tasks().for_each(ConsumerTask::shut_down);
        let ended = join_all(tasks().map(ConsumerTask::ended));
        let _ = timeout(remaining(self.stop_timeout), ended).await;
        for dispatcher in &self.dispatchers {
            if !dispatcher.has_ended() {
                warn!(
                    name = dispatcher.name(),
                    "work did not finish before the stop timeout; aborted"
                );
                dispatcher.abort();
            }
        }
        for task in tasks() {
            let status = task.handle().status();
            if status.state != ConsumerState::Ended {
                let (name, position) = (&status.name, status.position);
                warn!(name, %position, "batch did not finish before the stop timeout; aborted");
                task.abort();
            }
        }
        let _ = timeout(LEAVE_TIMEOUT.min(self.stop_timeout), self.node.leave()).await;
    }
}

impl WaitForPosition for Runtime {
    type Error = WaitError;

    async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        Self::wait_for(self, position).await
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
