//! [`Projections`]: runs projections, each in a task of its own.

mod in_memory;
mod runner;
mod status;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine::{Engine, RetryPolicy};
use crate::place::Position;
use crate::query::Query;
use crate::read::Page;
use crate::store::EventStore;

pub use in_memory::InMemory;
pub use status::{ProjectionError, ProjectionState, ProjectionStatus, WaitError};

use runner::{Order, Runner};

/// Where the effects of a projection go, together with its checkpoint.
#[async_trait]
pub trait ReadModel: Send + Sync + 'static {
    /// The name of the projection.
    fn name(&self) -> &str;

    /// The events that it takes.
    fn query(&self) -> Query;

    /// Makes the read model ready and tells up to where it has come; 0 for a new one, and for one of
    /// another version, which starts anew.
    ///
    /// # Errors
    /// [`ProjectionError`] if the read model cannot be made ready.
    async fn open(&self) -> Result<Position, ProjectionError>;

    /// Takes the events of `page` and moves the checkpoint to [`Page::through`], both or neither.
    ///
    /// # Errors
    /// [`ProjectionError`] if an event cannot be decoded or handled; nothing has changed then.
    async fn project(&self, page: &Page) -> Result<(), ProjectionError>;

    /// Empties the read model and moves the checkpoint to 0, both or neither.
    ///
    /// # Errors
    /// [`ProjectionError`] if that fails.
    async fn reset(&self) -> Result<(), ProjectionError>;
}

/// Projections at work. Dropping it ends them; [`stop`](Self::stop) lets them finish what they are at.
pub struct Projections {
    running: Vec<Running>,
}

struct Running {
    status: watch::Receiver<ProjectionStatus>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

/// Which projections to run, and how.
pub struct ProjectionsBuilder {
    store: Arc<dyn EventStore>,
    models: Vec<Arc<dyn ReadModel>>,
    retry: RetryPolicy,
}

impl Projections {
    /// Projections of the events in the engine's store.
    #[must_use]
    pub fn builder(engine: &Engine) -> ProjectionsBuilder {
        ProjectionsBuilder {
            store: engine.store().clone(),
            models: Vec::new(),
            retry: RetryPolicy {
                attempts: 8,
                base: std::time::Duration::from_millis(20),
                cap: std::time::Duration::from_secs(5),
            },
        }
    }

    /// Waits until every projection has come to `position`: a reader then sees what a writer with a
    /// receipt of that position did.
    ///
    /// # Errors
    /// [`WaitError`] names a projection that has stopped, with its last error.
    pub async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        for running in &self.running {
            let mut status = running.status.clone();
            let ready =
                status.wait_for(|status| status.position >= position || status.is_stopped());
            let status = ready
                .await
                .map_err(|_| WaitError::ended(&running.status.borrow()))?;
            if status.position < position {
                return Err(WaitError::stopped(&status));
            }
        }
        Ok(())
    }

    /// How each projection stands.
    #[must_use]
    pub fn status(&self) -> Vec<ProjectionStatus> {
        self.running
            .iter()
            .map(|running| running.status.borrow().clone())
            .collect()
    }

    /// Empties the read model of the projection `name` and starts it again from the first event. Returns
    /// once it is empty; [`wait_for`](Self::wait_for) waits until it is full.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection, or its read model cannot be emptied.
    pub async fn rebuild(&self, name: &str) -> Result<(), ProjectionError> {
        self.order(name, Order::Rebuild).await
    }

    /// Lets the stopped projection `name` try again, from where it stands.
    ///
    /// # Errors
    /// [`ProjectionError`] if there is no such projection.
    pub async fn resume(&self, name: &str) -> Result<(), ProjectionError> {
        self.order(name, Order::Resume).await
    }

    async fn order(
        &self,
        name: &str,
        order: impl FnOnce(oneshot::Sender<Result<(), ProjectionError>>) -> Order,
    ) -> Result<(), ProjectionError> {
        let running = self
            .running
            .iter()
            .find(|running| running.status.borrow().name == name);
        let running = running.ok_or_else(|| format!("there is no projection {name:?}"))?;
        let (answer, answered) = oneshot::channel();
        let gone =
            |name| move || ProjectionError::from(format!("the projection {name:?} has ended"));
        running
            .orders
            .send(order(answer))
            .await
            .map_err(|_| gone(name)())?;
        answered.await.map_err(|_| gone(name)())?
    }

    /// Lets every projection finish the page that it is at, and ends it.
    pub async fn stop(mut self) {
        for running in self.running.drain(..) {
            let Running { orders, task, .. } = running;
            drop(orders);
            // A panic has been reported in the status.
            let _ = task.await;
        }
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        for running in &self.running {
            running.task.abort();
        }
    }
}

impl ProjectionsBuilder {
    /// Also this projection.
    #[must_use]
    pub fn with(mut self, model: impl ReadModel) -> Self {
        self.models.push(Arc::new(model));
        self
    }

    /// How often, and after what pause, a page that failed is tried again before the projection stops.
    /// Default: 8 attempts, pauses up to 5 seconds.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Starts them, each in a task of the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(self) -> Projections {
        let Self {
            store,
            models,
            retry,
        } = self;
        let running = models.into_iter().map(|model| {
            let (status, seen) = watch::channel(ProjectionStatus::new(model.name()));
            let (orders, inbox) = mpsc::channel(8);
            let runner = Runner::new(model, store.clone(), retry.clone(), status);
            Running {
                status: seen,
                orders,
                task: tokio::spawn(runner.run(inbox)),
            }
        });
        Projections {
            running: running.collect(),
        }
    }
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
