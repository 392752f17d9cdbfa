//! [`ProcessManagers`]: runs process managers, deadlines, schedules and handlers.

mod agenda;
mod beginning;
mod builder;
pub mod deadlines;
mod delivery;
mod dispatcher;
mod failed_deliveries;
mod handler;
mod known;
mod logic;
mod model;
mod names;
mod orphans;
mod passing;
mod schedule;
mod telling;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::projections::{DeadLetter, ProjectionError, ProjectionStatus, Projections, WaitError};
use factum_core::document::Scan;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_engine::clock::Clock;
use factum_engine::engine::Engine;
use factum_engine::error::StoreError;

pub use builder::ProcessManagersBuilder;
pub use deadlines::DEADLINES;
pub use factum_engine::process::instance::{Cause, Instance, Pending};
pub use failed_deliveries::{FailedDelivery, FailedWork};
pub use handler::{EventHandler, HandlerError, HandlerOptions, StartFrom};
pub use logic::{Logic, Newer, Reacts, Typed};
pub use names::ProcessStartError;
pub use orphans::Orphan;
pub use schedule::{InvalidSchedule, MissedRuns, Schedule};

use beginning::Beginning;
use factum_engine::process::instance::{Due, Keys, Work};

/// How often a waiter looks what another instance has done.
const GLANCE: Duration = Duration::from_millis(20);

/// What the schedules together go by, where a name is asked for.
pub const SCHEDULES: &str = "schedules";

/// Process managers, schedules and handlers at work. Dropping it ends them; [`stop`](Self::stop) lets them finish what
/// they are at, and tells other instances that they can go on at once.
///
/// ```no_run
/// # use factum::prelude::*;
/// # use factum::process::ReactSet;
/// # async fn run<Fulfilment: Respond + ReactSet<<Fulfilment as ProcessManager>::Events>>(engine: Engine) {
/// let processes = ProcessManagers::builder(&engine).with::<Fulfilment>().start();
/// // … until the program ends
/// processes.stop().await;
/// # }
/// ```
pub struct ProcessManagers {
    running: Vec<Running>,
    projections: Projections,
    engine: Engine,
    clock: Arc<dyn Clock>,
    /// The names of those that this program has.
    schedules: HashSet<String>,
    beginning: Beginning,
    end: watch::Sender<bool>,
}

struct Running {
    logic: Arc<dyn Logic>,
    keys: Keys,
    signals: Arc<Signals>,
    task: JoinHandle<()>,
}

/// What the tasks of one process manager tell each other.
#[derive(Debug, Default)]
struct Signals {
    /// What is to be set before anything is done is set.
    ready: AtomicBool,
    /// There may be something due.
    poked: Notify,
    /// Something was done, or given up.
    done: watch::Sender<u64>,
}

impl Signals {
    fn poke(&self) {
        self.poked.notify_one();
    }

    fn progress(&self) {
        self.done.send_modify(|done| *done = done.wrapping_add(1));
    }
}

/// How a process manager or a handler stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Its name.
    pub name: String,
    /// How it takes events.
    pub events: ProjectionStatus,
}

impl ProcessManagers {
    /// Process managers over the engine's store.
    #[must_use]
    pub fn builder(engine: &Engine) -> ProcessManagersBuilder {
        ProcessManagersBuilder::new(engine.clone())
    }

    /// Waits until it is kept where that begins which is new and begins at the head: no later start moves it. It takes one
    /// change of the store, or none; where the store is closed before, nothing is kept.
    pub async fn wait_until_registered(&self) {
        self.beginning.is_kept().await;
    }

    /// Waits until every event up to `position` was taken, here or in another instance of the program: what it leads to
    /// is kept then, and not done yet.
    ///
    /// # Errors
    /// [`WaitError`] names one that has stopped, with its last error.
    pub async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        self.projections.wait_for(position).await
    }

    /// Waits until every event is taken and nothing is due: what was due is done, or given up, and so is all that
    /// followed from it. It comes to no end as long as new events come without end. What is left to newer code than this it
    /// does not wait for.
    ///
    /// # Errors
    /// [`ProjectionError`] if one has stopped taking events, something that is due cannot be read, or the store fails.
    pub async fn wait_until_idle(&self) -> Result<(), ProjectionError> {
        loop {
            let seen: Vec<_> = self
                .running
                .iter()
                .map(|it| it.signals.done.subscribe())
                .collect();
            match self.is_idle().await {
                Ok(true) => return Ok(()),
                Ok(false)
                | Err(ProjectionError::Store(
                    StoreError::Unavailable(_) | StoreError::Interrupted(_),
                )) => {}
                Err(error) => return Err(error),
            }
            let done = seen.into_iter().map(|mut done| {
                Box::pin(async move {
                    // Where the sender is gone, the pause below counts.
                    if done.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
            });
            let done: Vec<_> = done.collect();
            let pause = tokio::time::sleep(GLANCE);
            if done.is_empty() {
                pause.await;
            } else {
                let _ = tokio::time::timeout(GLANCE, futures_util::future::select_all(done)).await;
            }
        }
    }

    async fn is_idle(&self) -> Result<bool, ProjectionError> {
        let head = self.head().await?;
        let taken = self.projections.wait_for(head).await;
        taken.map_err(|error| ProjectionError::Handler(error.into()))?;
        for running in &self.running {
            if running.has_due(self).await? {
                return Ok(false);
            }
        }
        Ok(self.head().await? == head)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let read = Read::all(Query::all()).backward().limit(1);
        Ok(self.engine.store().read(read).await?.head)
    }

    /// What this instance of the program is called among the [`owners`](ProjectionStatus::owners) of a status.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.projections.instance()
    }

    /// How each process manager and each handler stands.
    #[must_use]
    pub fn status(&self) -> Vec<ProcessStatus> {
        let each = self.projections.status().into_iter();
        each.map(|events| ProcessStatus {
            name: events
                .name
                .split_once(':')
                .map_or_else(String::new, |(_, name)| name.to_owned()),
            events,
        })
        .collect()
    }

    /// The events that the process manager or handler `name` could not take, in order.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is none of that name, or the store fails.
    pub async fn dead_letters(&self, name: &str) -> Result<Vec<DeadLetter>, ProjectionError> {
        self.projections.dead_letters(&self.model(name)).await
    }

    /// What the process manager `name`, the [schedules](SCHEDULES) or the [deadlines](DEADLINES) could not do, by instance and in order: what
    /// waits, and what was discarded.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is none of that name, or the store fails.
    pub async fn failed_deliveries(
        &self,
        name: &str,
    ) -> Result<Vec<FailedDelivery>, ProjectionError> {
        let running = self.running(name)?;
        let documents = &**self.engine.store();
        Ok(failed_deliveries::all(documents, &running.keys).await?)
    }

    /// Lets the process manager or handler `name` try again what it could not take or do, in order.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is none of that name, or the store fails.
    pub async fn retry(&self, name: &str) -> Result<(), ProjectionError> {
        if let Ok(running) = self.running(name) {
            let documents = &**self.engine.store();
            for letter in failed_deliveries::all(documents, &running.keys).await? {
                if letter.is_waiting() {
                    failed_deliveries::settle(documents, &running.keys, &letter, None).await?;
                }
            }
            running.signals.poke();
            if [SCHEDULES, DEADLINES].contains(&name) {
                return Ok(());
            }
        }
        self.projections.retry(&self.model(name)).await
    }

    /// Decides that the parked event at `position` shall mean nothing to the process manager or handler `name`, and why.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is none of that name or nothing parked there, or the store fails.
    pub async fn discard(
        &self,
        name: &str,
        position: Position,
        reason: impl Into<String>,
    ) -> Result<(), ProjectionError> {
        let model = self.model(name);
        self.projections.discard(&model, position, reason).await
    }

    /// Decides that what the process manager `name` could not do shall not be done, and why; what waits behind goes on.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is none of that name, it does not wait any more, or the store fails.
    pub async fn discard_delivery(
        &self,
        name: &str,
        failed_deliveries: &FailedDelivery,
        reason: impl Into<String>,
    ) -> Result<(), ProjectionError> {
        let running = self.running(name)?;
        let (documents, reason) = (&**self.engine.store(), reason.into());
        let settled = failed_deliveries.is_waiting()
            && failed_deliveries::settle(
                documents,
                &running.keys,
                failed_deliveries,
                Some(&reason),
            )
            .await?;
        running.signals.poke();
        if settled {
            return Ok(());
        }
        let FailedDelivery {
            instance, number, ..
        } = failed_deliveries;
        Err(format!("the work {number} of {instance:?} does not wait any more").into())
    }

    fn model(&self, name: &str) -> String {
        match self.running(name) {
            Ok(_) => model::model_name(name),
            Err(_) => handler::model_name(name),
        }
    }

    fn running(&self, name: &str) -> Result<&Running, ProjectionError> {
        let running = self.running.iter().find(|it| it.logic.name() == name);
        running.ok_or_else(|| format!("there is no process manager {name:?}").into())
    }

    /// Lets each finish what it is at, and ends it.
    pub async fn stop(self) {
        let Self {
            running,
            projections,
            end,
            ..
        } = self;
        end.send_replace(true);
        for mut running in running {
            // A panic has been reported by the runtime.
            let _ = (&mut running.task).await;
        }
        projections.stop().await;
    }
}

impl Running {
    /// Whether anything is due that this program knows how to do.
    async fn has_due(&self, of: &ProcessManagers) -> Result<bool, StoreError> {
        if !self.signals.ready.load(Relaxed) {
            return Ok(true);
        }
        let (documents, now) = (of.engine.store(), of.clock.now());
        let mut scan = Scan::prefix(self.keys.all_due());
        let mut parked = None;
        loop {
            let page = documents.scan_documents(scan.clone()).await?;
            for document in &page {
                if self.keys.time(&document.key).is_some_and(|due| due > now) {
                    return Ok(false);
                }
                let due: Due = document.decode()?;
                if due.deadline && parked.is_none() {
                    parked = Some(passing::parked(&**documents, self.logic.name()).await?);
                }
                // A deadline behind what is parked waits for somebody, as that does.
                let waits = parked.iter().any(|parked| parked.contains(&due.id));
                let waits = !self.logic.knows(&due) || (due.deadline && waits);
                if !waits && !self.is_left(of, &due.id).await? {
                    return Ok(true);
                }
            }
            match page.last() {
                Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
                _ => return Ok(false),
            }
        }
    }
}

impl Running {
    /// Whether what the instance has to do next is left to newer code.
    async fn is_left(&self, of: &ProcessManagers, id: &str) -> Result<bool, StoreError> {
        let found = dispatcher::find(&**of.engine.store(), &self.keys, id).await?;
        let Some((_, instance)) = found else {
            return Ok(false);
        };
        Ok(match instance.work() {
            _ if self.logic.is_newer(&instance).is_some() => true,
            Some((_, Work::Command(pending))) => {
                let route = self.logic.route(id, &pending.command);
                route.is_some_and(|route| route.version < pending.version)
            }
            _ => false,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ProcessManagers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
