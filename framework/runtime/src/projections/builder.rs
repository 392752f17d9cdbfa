//! [`ProjectionsBuilder`]: which projections to run, and how.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::board::Board;
use super::instances::Instances;
use super::supervisor::Supervisor;
use super::{Heart, Projections, ReadModel, Running, Shared};
use factum_core::document::DocumentStore;
use factum_core::store::Store;
use factum_engine::engine::RetryPolicy;

/// What becomes of an event that a projection cannot take, after the attempts of its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// It is parked as a [dead letter](super::DeadLetter), and every later event of its stream with it; the other
    /// streams go on.
    #[default]
    DeadLetter,
    /// The projection stops ahead of it. Nothing is skipped.
    Stop,
    /// The projection goes on without it, and keeps a record of that among its dead letters.
    Skip,
}

/// Projections were not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name of a projection is empty, too long, or holds what keys are made of.
    #[error(
        "{name:?} is no name of a projection: 1 to 200 bytes without `/` or control characters"
    )]
    Name {
        /// The name, cut after 80 characters.
        name: String,
    },
    /// Two projections of one name.
    #[error("the projection {name:?} is there twice: each needs a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
}

/// Which projections to run, and how.
pub struct ProjectionsBuilder {
    store: Arc<dyn Store>,
    models: Vec<(Arc<dyn ReadModel>, FailurePolicy)>,
    retry: RetryPolicy,
    lease: Duration,
    instance: Option<String>,
}

impl ProjectionsBuilder {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            models: Vec::new(),
            retry: RetryPolicy {
                attempts: 8,
                base: Duration::from_millis(20),
                cap: Duration::from_secs(5),
            },
            lease: Duration::from_secs(5),
            instance: None,
        }
    }

    /// Also this projection, which parks what it cannot take.
    #[must_use]
    pub fn with(self, model: impl ReadModel) -> Self {
        self.with_failures(model, FailurePolicy::default())
    }

    /// Also this projection, which does `failure_policy` with what it cannot take.
    #[must_use]
    pub fn with_failures(mut self, model: impl ReadModel, failure_policy: FailurePolicy) -> Self {
        self.models.push((Arc::new(model), failure_policy));
        self
    }

    /// How often, and after what pause, an event that failed is tried again before it is parked, and whatever else
    /// failed before the projection stops. While the store is not there it is tried without end.
    /// Default: 8 attempts, pauses up to 5 seconds.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long an instance may give no sign before others take over its work. Each instance writes to the store
    /// three times as often. Default: 5 seconds.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// A name of this instance that outlives the process, e.g. that of the host and the service: then it takes over at
    /// its start what an instance of that name worked on before, without waiting for its lease. Give it to one instance at
    /// a time; where two have it, each loses its work to the other's start, and nothing else happens. Default, and if it is
    /// empty: none.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// Starts them, in tasks of the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime, and where [`try_start`](Self::try_start) fails.
    #[must_use]
    #[expect(clippy::panic, reason = "a mistake in the program, found at its start")]
    pub fn start(self) -> Projections {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts them, in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if a projection is there twice, or its name is none.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn try_start(self) -> Result<Projections, StartError> {
        let mut names = HashSet::new();
        for (model, _) in &self.models {
            let name = model.name();
            if name.is_empty()
                || name.len() > 200
                || name.contains(|c: char| c == '/' || c.is_control())
            {
                let name = name.chars().take(80).collect();
                return Err(StartError::Name { name });
            }
            if !names.insert(name) {
                let name = name.to_owned();
                return Err(StartError::Twice { name });
            }
        }
        Ok(self.run())
    }

    fn run(self) -> Projections {
        let documents: Arc<dyn DocumentStore> = self.store.clone();
        let shares = self
            .models
            .iter()
            .any(|(model, _)| model.own_documents().is_none());
        let instances = Arc::new(Instances::new(self.lease, self.instance));
        let heart = shares.then(|| Heart {
            instances: instances.clone(),
            documents: documents.clone(),
            task: tokio::spawn(instances.clone().run(documents.clone())),
        });
        let alone = Arc::new(Instances::alone(self.lease));
        let running = self.models.into_iter().map(|(model, failure_policy)| {
            let (instances, documents) = match model.own_documents() {
                None => (instances.clone(), documents.clone()),
                Some(own) => (alone.clone(), own),
            };
            let shared = Arc::new(Shared {
                board: Board::new(model.name()),
                model,
                store: self.store.clone(),
                documents,
                instances,
                retry: self.retry.clone(),
                failure_policy,
                poked: Notify::new(),
                arrived: Notify::new(),
                wanted: Notify::new(),
                waiting: AtomicUsize::new(0),
                resumed: AtomicU64::new(0),
            });
            let (end, ended) = mpsc::channel(1);
            Running {
                status: shared.board.watch(),
                task: tokio::spawn(Supervisor::new(shared.clone()).run(ended)),
                shared,
                end,
            }
        });
        Projections {
            running: running.collect(),
            instance: instances.me(),
            heart,
        }
    }
}
