//! [`Supervisor`]: the task of one projection. Keeps a worker for each partition of each build, switches readers to a
//! build that is ready, and drops what is not needed any more.

use std::collections::HashMap;
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
use crate::document::Changes;
use crate::error::StoreError;
use crate::read::MAX_PAGE;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    control: watch::Sender<Arc<Control>>,
    workers: HashMap<(u64, u16), JoinHandle<()>>,
    /// Since when a build is known to be of no use.
    retired: HashMap<u64, Instant>,
}

impl Supervisor {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            control: watch::Sender::new(Arc::default()),
            workers: HashMap::new(),
            retired: HashMap::new(),
        }
    }

    /// Runs until `end` is gone; then lets every worker finish what it is at.
    pub(super) async fn run(mut self, mut end: tokio::sync::mpsc::Receiver<()>) {
        let mut failures = 0;
        loop {
            let pause = match self.round().await {
                Ok(()) => {
                    failures = 0;
                    self.shared.instances.beat()
                }
                Err(ProjectionError::Store(StoreError::Closed)) => break,
                Err(error) => {
                    failures += 1;
                    self.fail(&error, failures);
                    self.shared.retry.pause(failures)
                }
            };
            tokio::select! {
                _ = end.recv() => break,
                () = self.shared.poked.notified() => {}
                () = self.shared.arrived.notified() => {}
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
        let stopped = failures >= self.shared.retry.attempts;
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
        let read = control::read(&*shared.documents, name).await?;
        let read = match self.switch(read).await? {
            ControlFlow::Continue(read) => read,
            // Another instance was faster, or readers see another build now: look again.
            ControlFlow::Break(()) => {
                shared.poked.notify_one();
                return Ok(());
            }
        };
        self.work(&read.control);
        self.tell_of_foreign(&read.control).await?;
        self.clear(&read.control).await
    }

    /// Publishes the control, and starts the workers that are missing.
    fn work(&mut self, control: &Control) {
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
            let changed = **known != *control;
            if changed {
                *known = Arc::new(control.clone());
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
        &self,
        read: control::Read,
    ) -> Result<ControlFlow<(), control::Read>, ProjectionError> {
        let shared = &*self.shared;
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
        let unmoved = match served {
            Some(served) if !read.control.at_once => self.caught_up(&newest, &served).await?,
            _ => Some(Changes::new()),
        };
        let Some(unmoved) = unmoved else {
            return Ok(ControlFlow::Continue(read));
        };
        let mut control = read.control.clone();
        control.serving = Some(newest.number);
        control.at_once = false;
        // A build of the same version is of no use any more; that of an older one is, until somebody says.
        for build in &mut control.builds {
            build.retired |= build.number < newest.number && build.version == newest.version;
        }
        guarded(shared.model.prepare(newest.number)).await?;
        let step = Step {
            build: newest.number,
            events: &[],
            changes: control::change(shared.model.name(), &read, &control)?.with(unmoved),
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

    /// What must not change meanwhile for `build` to show all that readers have seen before; `None`: it does not, or is
    /// more than a page behind the head.
    async fn caught_up(
        &self,
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
        let now = lease::progress(&**documents, model.name(), of(build)).await?;
        let near = head.saturating_sub(now.position.get()) <= MAX_PAGE as u64;
        Ok((near && now.position >= before.position).then_some(before.unmoved))
    }

    /// Tells of a build that readers see and only older code, or newer, works on.
    async fn tell_of_foreign(&self, control: &Control) -> Result<(), ProjectionError> {
        let Shared {
            model,
            store,
            documents,
            board,
            ..
        } = &*self.shared;
        let Some(served) = control.served().copied() else {
            return Ok(());
        };
        if control.own(&**model).any(|own| own.number == served.number) {
            return Ok(());
        }
        let of = (served.number, served.partitions);
        let progress = lease::progress(&**documents, model.name(), of).await?;
        let head = *store.watch().borrow();
        board.part((served.number, 0), |part| {
            part.foreign = true;
            part.state = ProjectionState::Elsewhere;
            part.owner = progress.holders.first().copied().flatten();
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
            if !alone && now.duration_since(since) < shared.instances.beat() * 3 {
                continue;
            }
            let name = shared.model.name();
            let keys = (0..partitions).map(|partition| lease::key(name, number, partition));
            let fence = keys.fold(Changes::new(), Changes::delete);
            let letters = dead_letter::forget(&*shared.documents, name, number).await?;
            let forgotten = shared.documents.change_documents(fence.with(letters)).await;
            forgotten.map_err(|error| ProjectionError::Handler(error.into()))?;
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

fn superseded(name: &str, version: u32, known: u32) -> ProjectionError {
    format!("the read model {name:?} is of version {version}, this code knows version {known}")
        .into()
}
