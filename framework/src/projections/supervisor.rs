//! [`Supervisor`]: the task of one projection. Keeps a worker for each partition of each build, switches readers to a
//! build that is ready, and drops what is not needed any more.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::control::{self, Control};
use super::worker::Worker;
use super::{
    ProjectionError, ProjectionState, Shared, Step, StepError, chain, dead_letter, guarded, lease,
};
use crate::document::{ChangeError, Changes};
use crate::error::StoreError;
use crate::read::MAX_PAGE;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    control: watch::Sender<Arc<control::Read>>,
    workers: HashMap<(u64, u16), JoinHandle<()>>,
    /// Since when a build is known to be of no use.
    retired: HashMap<u64, Instant>,
    /// Readers see a build that this code does not work on.
    foreign: bool,
    /// What was made ready to be shown.
    ready: HashSet<u64>,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            control: watch::Sender::new(Arc::default()),
            workers: HashMap::new(),
            retired: HashMap::new(),
            foreign: false,
            ready: HashSet::new(),
        }
    }

    /// Runs until `end` is gone; then lets every worker finish what it is at.
    pub(super) async fn run(mut self, mut end: tokio::sync::mpsc::Receiver<()>) {
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
            error = chain(error),
            failures,
            "projection failed"
        );
        self.shared.board.fail(state, chain(error));
    }

    async fn round(&mut self) -> Result<(), ProjectionError> {
        let shared = self.shared.clone();
        let (model, name) = (&*shared.model, shared.model.name());
        let mut read = control::read(&*shared.documents, name).await?;
        if read.control.own(model).next().is_none() {
            control::edit(&*shared.documents, name, |control| {
                if control.own(model).next().is_some() {
                    return Ok(false);
                }
                match control.served() {
                    Some(served) if served.version > model.version() => {
                        Err(superseded(name, served.version, model.version()))
                    }
                    _ => {
                        control.add(model);
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
        self.tell_of_foreign(&read.control).await?;
        self.clear(&read.control).await
    }

    /// Publishes the control, and starts the workers that are missing.
    fn work(&mut self, read: &control::Read) {
        let control = &read.control;
        let model = &*self.shared.model;
        let own: Vec<_> = control
            .own(model)
            .filter(|build| !build.retired)
            .copied()
            .collect();
        let wanted = |number| own.iter().any(|build| build.number == number);
        let shown = |number| wanted(number) || control.serving == Some(number);
        self.shared.board.builds(control.serving, shown);
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

    /// Lets readers see the newest own build, if it is ready.
    async fn switch(
        &mut self,
        read: control::Read,
    ) -> Result<ControlFlow<(), control::Read>, ProjectionError> {
        let shared = self.shared.clone();
        let Some(newest) = read.control.own(&*shared.model).last().copied() else {
            return Ok(ControlFlow::Continue(read));
        };
        let served = read.control.served().copied();
        let serves = read
            .control
            .serving
            .is_some_and(|serving| serving >= newest.number);
        if serves || newest.retired {
            return Ok(ControlFlow::Continue(read));
        }
        if !self.ready.contains(&newest.number) {
            guarded(shared.model.prepare(newest.number)).await?;
            self.ready.insert(newest.number);
        }
        let interrupted = match served {
            Some(served) => self.caught_up(&read, &newest, &served).await?,
            None => Some(Changes::new()),
        };
        let Some(interrupted) = interrupted else {
            return Ok(ControlFlow::Continue(read));
        };
        let mut control = read.control.clone();
        control.serving = Some(newest.number);
        control.at_once = false;
        // A build of the same version is of no use any more; that of an older one is, until somebody says.
        for build in &mut control.builds {
            build.retired |= build.number < newest.number && build.version == newest.version;
        }
        let step = Step {
            build: newest.number,
            events: &[],
            changes: control::change(shared.model.name(), &read, &control)?.with(interrupted),
            documents: &*shared.documents,
        };
        match shared.model.serve(step).await {
            Ok(_) => info!(
                name = shared.model.name(),
                build = newest.number,
                "readers see another build"
            ),
            Err(StepError::Lost) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(ControlFlow::Break(()))
    }

    /// What the step must hold for `build` to show all that readers have seen before; `None`: it does not, or is
    /// more than a page behind the head. Whoever works on `served` is made to look at the control first: it must
    /// not be told of as what readers see when they do not.
    async fn caught_up(
        &self,
        read: &control::Read,
        build: &control::Build,
        served: &control::Build,
    ) -> Result<Option<Changes>, ProjectionError> {
        let Shared {
            model,
            store,
            documents,
            ..
        } = &*self.shared;
        let head = store.watch().borrow().get();
        let of = |build: &control::Build| (build.number, build.partitions);
        let before = lease::progress(&**documents, model.name(), of(served)).await?;
        if read.control.at_once {
            return Ok(Some(before.interrupt()));
        }
        let now = lease::progress(&**documents, model.name(), of(build)).await?;
        let near = head.saturating_sub(now.position.get()) <= MAX_PAGE as u64;
        let all = now.position >= before.farthest;
        Ok((near && all).then(|| before.interrupt()))
    }

    /// Tells of a build that readers see and only older code, or newer, works on.
    async fn tell_of_foreign(&mut self, control: &Control) -> Result<(), ProjectionError> {
        let Shared {
            model,
            store,
            documents,
            board,
            ..
        } = &*self.shared;
        let served = control.served().copied();
        let served = served.filter(|served| served.version != model.version());
        self.foreign = served.is_some();
        let Some(served) = served else {
            return Ok(());
        };
        let of = (served.number, served.partitions);
        let progress = lease::progress(&**documents, model.name(), of).await?;
        let head = *store.watch().borrow();
        board.part((served.number, 0), |part| {
            part.foreign = true;
            part.state = ProjectionState::Elsewhere;
            part.owner = progress.holders.first().copied().flatten();
            part.parked = progress.parked;
            part.head = head;
            part.come_to(progress.position);
        });
        Ok(())
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
            let keys = (0..partitions).map(|partition| lease::key(name, number, partition));
            let fence = keys.fold(Changes::new(), Changes::delete);
            shared
                .documents
                .change_documents(fence)
                .await
                .map_err(store)?;
            dead_letter::forget(&*shared.documents, name, number)
                .await
                .map_err(store)?;
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

fn store(error: ChangeError) -> ProjectionError {
    match error {
        ChangeError::Store(error) => error.into(),
        error => ProjectionError::Handler(error.into()),
    }
}

fn superseded(name: &str, version: u32, known: u32) -> ProjectionError {
    format!("the read model {name:?} is of version {version}, this code knows version {known}")
        .into()
}
