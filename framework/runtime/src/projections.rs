//! [`Projections`]: runs projections, each in tasks of its own.

mod acquire;
mod board;
mod builder;
mod control;
pub mod dead_letter;
mod failure;
mod foreign;
mod forgetting;
mod in_memory;
pub mod inline;
mod inline_fill;
mod inline_recorded;
mod inline_take;
mod inline_transaction;
pub mod instances;
pub mod lease;
mod live;
mod live_view;
mod pace;
mod parked;
mod parked_events;
mod parking;
mod part;
mod read_model;
mod retrying;
mod running;
mod served;
mod spread;
mod status;
mod supervisor;
mod switch;
mod tables;
mod taking;
mod waiting;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use factum_core::document::DocumentStore;
use factum_core::position::Position;
use factum_core::store::EventStore;
use factum_engine::engine::{Engine, RetryPolicy};

pub use builder::{FailurePolicy, ProjectionsBuilder, StartError};
pub use control::{checkpoint, control_key, wants};
pub use dead_letter::blank_errors;
pub use dead_letter::{DeadLetter, DeadLetterState};
pub use in_memory::InMemory;
#[doc(hidden)]
pub use lease::fence;
pub use live_view::{Views, live};
pub use read_model::{EventError, ReadModel, Step, StepError};
pub use served::Served;
pub use status::{ProjectionError, ProjectionState, ProjectionStatus, WaitError};
pub use tables::{Names, TABLES, TableTaken, fill_in, list, listed, table, tables_key, views_key};

use board::Board;
use control::Control;
use dead_letter::Letters;
pub use failure::guarded;
use instances::Instances;
use running::Running;

/// How often a waiter looks how far another instance has come.
const GLANCE: Duration = Duration::from_millis(20);
/// How long what readers see is held for what replaces it, once everybody knows.
const HOLD: Duration = Duration::from_millis(250);

#[doc = include_str!("projections/projections.md")]
pub struct Projections {
    running: Vec<Running>,
    instance: Uuid,
    /// Shows other instances that this one lives.
    heart: Option<Heart>,
}

struct Heart {
    instances: Arc<Instances>,
    documents: Arc<dyn DocumentStore>,
    task: JoinHandle<()>,
}

/// What the tasks of one projection share.
struct Shared {
    model: Arc<dyn ReadModel>,
    store: Arc<dyn EventStore>,
    documents: Arc<dyn DocumentStore>,
    instances: Arc<Instances>,
    board: Board,
    retry: RetryPolicy,
    failure_policy: FailurePolicy,
    /// An order was given here: look at the control.
    poked: Notify,
    /// A worker has taken a page while a build was to be filled.
    arrived: Notify,
    /// Somebody waits for a position.
    wanted: Notify,
    waiting: AtomicUsize,
    /// The newest order to go on that was given here: what stopped before it is not told of again.
    resumed: AtomicU64,
}

impl Shared {
    fn letters(&self, build: u64) -> Letters<'_> {
        Letters {
            store: &*self.store,
            documents: &*self.documents,
            name: self.model.name(),
            build,
        }
    }
}

impl Projections {
    /// Projections of the events in the engine's store.
    #[must_use]
    pub fn builder(engine: &Engine) -> ProjectionsBuilder {
        ProjectionsBuilder::new(engine.store().clone())
    }

    /// Waits until every projection has come to `position`, here or in another instance: a reader then sees what a
    /// writer with a receipt of that position did. With position 0 it waits until there are read models at all.
    ///
    /// # Errors
    /// [`WaitError`] names a projection that has stopped, with its last error.
    pub async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        for running in &self.running {
            running
                .wait(|status| status.readable && status.position >= position)
                .await?;
        }
        Ok(())
    }

    /// Waits until the readers of every projection see a build of this code's version, which after a change of version
    /// takes as long as it takes to build it.
    ///
    /// # Errors
    /// [`WaitError`] names a projection that has stopped, with its last error, or is
    /// [held back](ProjectionStatus::promotion_blocked), and which order helps.
    pub async fn wait_until_current(&self) -> Result<(), WaitError> {
        for running in &self.running {
            let current = |status: &ProjectionStatus| status.current;
            let given_up = |status: &ProjectionStatus| {
                status.is_stopped() || status.promotion_blocked.is_some()
            };
            running.wait_unless(current, given_up).await?;
        }
        Ok(())
    }

    /// What this instance is called among the [`owners`](ProjectionStatus::owners) of what several share.
    #[must_use]
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// How each projection stands.
    #[must_use]
    pub fn status(&self) -> Vec<ProjectionStatus> {
        let each = self.running.iter();
        each.map(|running| running.status.borrow().clone())
            .collect()
    }

    /// How the projection `name` stands, now and whenever that changes; `None`: there is no such projection.
    #[must_use]
    pub fn watch(&self, name: &str) -> Option<watch::Receiver<ProjectionStatus>> {
        self.running(name)
            .ok()
            .map(|running| running.status.clone())
    }

    /// Builds the read model of the projection `name` anew, beside the one that readers see, and returns once they see
    /// the new one. The build goes on if the future is dropped, and over restarts.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or it stops.
    pub async fn rebuild(&self, name: &str) -> Result<(), ProjectionError> {
        self.anew(name, false).await
    }

    /// Starts the read model of the projection `name` again from the first event, and returns once readers see
    /// an empty one; [`wait_for`](Self::wait_for) waits until it is full.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or it stops.
    pub async fn reset(&self, name: &str) -> Result<(), ProjectionError> {
        self.anew(name, true).await
    }

    async fn anew(&self, name: &str, at_once: bool) -> Result<(), ProjectionError> {
        let running = self.running(name)?;
        let mut build = 0;
        running.shared.board.go_on();
        running
            .order(|control| {
                let model = &*running.shared.model;
                build = control.add(model.version(), model.partitions());
                control.at_once = at_once;
            })
            .await?;
        // What readers see may have stopped: that is what a new build is for.
        let why = |status: &ProjectionStatus| status.why_not(build);
        let seen = running.wait_or(
            |status| status.build >= build,
            |status| why(status).is_some(),
        );
        let (status, seen) = seen.await;
        match why(&status) {
            _ if seen => Ok(()),
            Some(why) => Err(why.into()),
            None => Err(ProjectionError::Handler(WaitError::ended(&status).into())),
        }
    }

    /// Lets the projection `name` rest, in every instance, until [`resume`](Self::resume). Once this returns, no event
    /// has an effect any more.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn pause(&self, name: &str) -> Result<(), ProjectionError> {
        let running = self.running(name)?;
        running.order(|control| control.paused = true).await?;
        // Others learn of it only with their next beat.
        let shared = &*running.shared;
        lease::interrupt(&*shared.documents, shared.model.name()).await
    }

    /// Lets the paused or stopped projection `name` go on from where it stands.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn resume(&self, name: &str) -> Result<(), ProjectionError> {
        let mut resumed = 0;
        let go_on = |control: &mut Control| {
            control.paused = false;
            control.resumed += 1;
            resumed = control.resumed;
        };
        let running = self.running(name)?;
        running.order(go_on).await?;
        running.shared.resumed.fetch_max(resumed, SeqCst);
        running.shared.board.go_on();
        Ok(())
    }

    /// Lets readers of the projection `name` see the build that is to replace what they see, as it is: though it may not
    /// be full, or have parked what the other has taken. If there is none, nothing happens.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn switch(&self, name: &str) -> Result<(), ProjectionError> {
        let running = self.running(name)?;
        let version = running.shared.model.version();
        let order = |control: &mut Control| control.at_once |= control.next(version).is_some();
        running.order(order).await?;
        running.shared.board.go_on();
        Ok(())
    }

    /// Drops every build of the projection `name` that is older than the one that readers see: what is left of
    /// earlier versions.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn prune_builds(&self, name: &str) -> Result<(), ProjectionError> {
        let retire = |control: &mut Control| {
            let serving = control.serving.unwrap_or_default();
            for build in &mut control.builds {
                build.retired |= build.number < serving;
            }
        };
        self.running(name)?.order(retire).await
    }

    /// What the projection `name` could not take: what waits, what was skipped, what was discarded. In order; first that
    /// of the build that readers see, then that of the one that is to replace it.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn dead_letters(&self, name: &str) -> Result<Vec<DeadLetter>, ProjectionError> {
        let running = self.running(name)?;
        let mut letters = Vec::new();
        for build in running.builds().await? {
            letters.extend(running.shared.letters(build).list().await?);
        }
        Ok(letters)
    }

    /// Lets the projection `name` try what is parked again, each stream in order, in whichever instance works on it.
    /// What works is no dead letter any more, and a stream of which nothing is left goes on.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or the store fails.
    pub async fn retry(&self, name: &str) -> Result<(), ProjectionError> {
        self.running(name)?
            .order(|control| control.retries += 1)
            .await
    }

    /// Decides that the parked event at `position` shall have no effect on the projection `name`, and why; and lets
    /// it try what is parked behind it in its stream. Where it is parked in two builds, that is so for both.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection or nothing parked there, or the store fails.
    pub async fn discard(
        &self,
        name: &str,
        position: Position,
        reason: impl Into<String>,
    ) -> Result<(), ProjectionError> {
        let running = self.running(name)?;
        running.discard(position, &reason.into()).await
    }

    /// Who else works on the same, if this shares work with others.
    pub fn instances(&self) -> Option<Arc<Instances>> {
        self.heart.as_ref().map(|heart| heart.instances.clone())
    }

    fn running(&self, name: &str) -> Result<&Running, ProjectionError> {
        let running = self
            .running
            .iter()
            .find(|running| running.shared.model.name() == name);
        running.ok_or_else(|| {
            let known = self.running.iter();
            let known: Vec<_> = known.map(|running| running.shared.model.name()).collect();
            format!(
                "there is no projection {name:?} among {known:?}: give it to `Projections::builder`"
            )
            .into()
        })
    }

    /// Lets every projection finish the page that it is at, and ends it.
    pub async fn stop(mut self) {
        // All are told before the first is waited for.
        let tasks = self.running.drain(..).map(|Running { end, task, .. }| {
            drop(end);
            task
        });
        for task in tasks.collect::<Vec<_>>() {
            // A panic has been reported by the runtime.
            let _ = task.await;
        }
        if let Some(heart) = self.heart.take() {
            heart.task.abort();
            heart.instances.leave(&*heart.documents).await;
        }
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        for running in &self.running {
            running.task.abort();
        }
        if let Some(heart) = &self.heart {
            heart.task.abort();
        }
    }
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
