//! [`Supervisor`]: the task of one projection. Keeps a worker for each partition of each build, switches readers to a
//! build that is ready, and drops what is not needed any more.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::control::{self, Build, Control};
use super::worker::Worker;
use super::{ProjectionError, ProjectionState, Shared, guarded, lease};
use factum_core::document::{DocumentChanges, DocumentError};
use factum_engine::error::{StoreError, error_chain};

pub struct Supervisor {
    pub shared: Arc<Shared>,
    control: watch::Sender<Arc<control::Read>>,
    workers: HashMap<(u64, u16), JoinHandle<()>>,
    /// Since when a build is known to be of no use.
    retired: HashMap<u64, Instant>,
    /// Readers see a build that this code does not work on.
    foreign: bool,
    /// Since when nobody works on that.
    abandoned: Option<Instant>,
    /// Which own build readers do not see without an order, and why.
    pub promotion_blocked: Option<(u64, String)>,
    /// What was made ready to be shown.
    pub ready: HashSet<u64>,
    /// How often it was held what readers see, and when it may be again.
    pub holds: (u32, Instant),
}

impl Supervisor {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            control: watch::Sender::new(Arc::default()),
            workers: HashMap::new(),
            retired: HashMap::new(),
            foreign: false,
            abandoned: None,
            promotion_blocked: None,
            ready: HashSet::new(),
            holds: (0, Instant::now()),
        }
    }

    /// Runs until `end` is gone; then lets every worker finish what it is at.
    pub async fn run(mut self, mut end: tokio::sync::mpsc::Receiver<()>) {
        let mut failures = 0;
        loop {
            let shared = self.shared.clone();
            let wanted = shared.wanted.notified();
            tokio::pin!(wanted);
            // From here on it is heard.
            wanted.as_mut().enable();
            let pause = match self.round().await {
                Ok(()) => {
                    failures = 0;
                    if self.foreign {
                        shared.glance()
                    } else {
                        shared.instances.beat()
                    }
                }
                Err(ProjectionError::Store(StoreError::Closed)) => break,
                Err(error) => {
                    failures += 1;
                    self.fail(&error, failures);
                    shared.retry.pause(failures)
                }
            };
            tokio::select! {
                _ = end.recv() => break,
                () = shared.poked.notified() => {}
                () = shared.arrived.notified() => {}
                () = wanted, if self.foreign => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let Self {
            control, workers, ..
        } = self;
        drop(control);
        for worker in workers.into_values() {
            // A panic has been reported by the runtime.
            let _ = worker.await;
        }
    }

    fn fail(&self, error: &ProjectionError, failures: u32) {
        crate::metrics::projection_failed(self.shared.model.name());
        // While the store is not there it is tried without end.
        let passes = matches!(
            error,
            ProjectionError::Store(StoreError::Unavailable(_) | StoreError::Interrupted(_))
        );
        let stopped = !passes && failures >= self.shared.retry.attempts;
        let state = if stopped {
            ProjectionState::Stopped
        } else {
            ProjectionState::Retrying
        };
        warn!(
            name = self.shared.model.name(),
            error = error_chain(error),
            failures,
            "projection failed"
        );
        self.shared.board.fail(state, error_chain(error));
    }

    async fn round(&mut self) -> Result<(), ProjectionError> {
        let shared = self.shared.clone();
        let (model, name) = (&*shared.model, shared.model.name());
        let version = model.version();
        let mut read = control::read(&*shared.documents, name).await?;
        if read.control.own(version).next().is_none() {
            control::edit(&*shared.documents, name, |control| {
                if control.own(version).next().is_some() {
                    return Ok(false);
                }
                match control.served() {
                    Some(served) if served.version > model.version() => {
                        Err(superseded(name, served.version, model.version()))
                    }
                    _ => {
                        control.add(version, model.partitions());
                        Ok(true)
                    }
                }
            })
            .await?;
            read = control::read(&*shared.documents, name).await?;
        }
        let read = match self.switch(read).await? {
            ControlFlow::Continue(read) => read,
            // Another instance was faster, or readers see another build now: look again.
            ControlFlow::Break(()) => {
                shared.poked.notify_one();
                return Ok(());
            }
        };
        self.work(&read);
        shared.board.hold_back(self.promotion_blocked.clone());
        self.tell_of_foreign(&read.control).await?;
        shared.board.head(*shared.store.watch().borrow());
        self.clear(&read.control).await
    }

    /// Publishes the control, and starts the workers that are missing.
    fn work(&mut self, read: &control::Read) {
        let control = &read.control;
        let model = &*self.shared.model;
        let own: Vec<_> = control
            .own(model.version())
            .filter(|build| !build.retired)
            .copied()
            .collect();
        self.shared.board.builds(control.serving, &own);
        self.control.send_if_modified(|known| {
            let changed = **known != *read;
            if changed {
                *known = Arc::new(read.clone());
            }
            changed
        });
        self.workers.retain(|_, worker| !worker.is_finished());
        for build in own {
            for partition in 0..build.partitions {
                self.workers
                    .entry((build.number, partition))
                    .or_insert_with(|| {
                        let control = self.control.subscribe();
                        let worker = Worker::new(self.shared.clone(), build, partition, control);
                        tokio::spawn(worker.run())
                    });
            }
        }
    }

    /// Tells of a build that readers see and only older code, or newer, works on.
    async fn tell_of_foreign(&mut self, control: &Control) -> Result<(), ProjectionError> {
        let Shared {
            model,
            store,
            documents,
            board,
            instances,
            ..
        } = &*self.shared;
        let served = control.served().copied();
        let served = served.filter(|served| served.version != model.version());
        self.foreign = served.is_some();
        let Some(served) = served else {
            self.abandoned = None;
            return Ok(());
        };
        let of = (served.number, served.partitions);
        let progress = lease::progress(&**documents, model.name(), of).await?;
        let mut holders = progress.holders.iter().flatten();
        let now = Instant::now();
        self.abandoned = match holders.any(|holder| instances.lives(*holder)) {
            true => None,
            false => self.abandoned.or(Some(now)),
        };
        // What is going to be replaced need not move.
        let stuck = match &self.promotion_blocked {
            Some((_, why)) if self.is_abandoned() => Some(abandoned(&served, why)),
            _ => None,
        };
        let head = *store.watch().borrow();
        board.part((served.number, 0), |part| {
            part.foreign = true;
            part.state = match &stuck {
                Some(_) if progress.position < head => ProjectionState::Stopped,
                _ => ProjectionState::Elsewhere,
            };
            part.last_error = stuck;
            part.owner = progress.holders.first().copied().flatten();
            part.parked = progress.parked;
            part.newest = progress.newest;
            part.head = head;
            part.come_to(progress.position);
        });
        Ok(())
    }

    /// Whether nobody has worked on what readers see for as long as a lease lasts.
    pub fn is_abandoned(&self) -> bool {
        let lease = self.shared.instances.lease();
        self.abandoned.is_some_and(|since| since.elapsed() >= lease)
    }

    /// Drops builds that were retired so long ago that every instance has seen it.
    async fn clear(&mut self, control: &Control) -> Result<(), ProjectionError> {
        let shared = self.shared.clone();
        let now = Instant::now();
        let retired: HashMap<u64, u16> = control
            .builds
            .iter()
            .filter(|build| build.retired)
            .map(|build| (build.number, build.partitions))
            .collect();
        self.retired
            .retain(|number, _| retired.contains_key(number));
        for (number, partitions) in retired {
            let since = *self.retired.entry(number).or_insert(now);
            let alone = shared.model.own_documents().is_some();
            if !alone && now.duration_since(since) < shared.instances.lease() {
                continue;
            }
            let name = shared.model.name();
            let keys = lease::keys(name, (number, partitions));
            let fence = keys
                .into_iter()
                .fold(DocumentChanges::new(), DocumentChanges::delete);
            shared
                .documents
                .change_documents(fence)
                .await
                .map_err(store)?;
            shared.letters(number).forget().await.map_err(store)?;
            guarded(shared.model.discard(number)).await?;
            control::edit(&*shared.documents, name, |control| {
                control.builds.retain(|build| build.number != number);
                Ok(true)
            })
            .await?;
            info!(name, build = number, "dropped");
        }
        Ok(())
    }
}

fn store(error: DocumentError) -> ProjectionError {
    match error {
        DocumentError::Store(error) => error.into(),
        error => ProjectionError::Handler(error.into()),
    }
}

fn superseded(name: &str, version: u32, known: u32) -> ProjectionError {
    format!("the read model {name:?} is of version {version}, this code knows version {known}")
        .into()
}

fn abandoned(served: &Build, why: &str) -> String {
    format!(
        "no instance works on build {} any more: only code of version {} does, so start one; {why}",
        served.number, served.version
    )
}
