//! [`Supervisor`]: the task of one consumer. Runs a worker for each partition of each build, promotes builds, and drops
//! builds that are not needed any more.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use factum_core::document::DocumentChanges;
use factum_engine::error::{StoreError, error_chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::batch::BatchError;
use super::build::Build;
use super::context::ConsumerContext;
use super::control::{self, Control, VersionedControl};
use super::lease::{build_progress, lease_keys};
use super::panic_guard::catch_panic;
use super::partition_worker::PartitionWorker;
use super::promotion::Promotion;
use super::status::ConsumerState;
use crate::failure_log::FailureLog;

/// The task of one consumer.
pub struct Supervisor {
    context: Arc<ConsumerContext>,
    control: watch::Sender<Arc<VersionedControl>>,
    workers: HashMap<(u64, u16), JoinHandle<()>>,
    promotion: Promotion,
    /// The time since which a build is known to be retired.
    retired: HashMap<u64, Instant>,
    other_version: OtherVersion,
    round_failures: FailureLog,
    drop_failures: FailureLog,
    /// Records the end of the consumer, also if the task is aborted.
    _end: EndGuard,
}

/// The active build, if it has another version than this code.
#[derive(Default)]
struct OtherVersion {
    is_active: bool,
    /// The time since which no node processes it.
    abandoned_since: Option<Instant>,
}

/// One round of the supervisor failed.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(
        "the active build of {name:?} has version {version}; this code has version {known}: update the program"
    )]
    Superseded {
        name: String,
        version: u32,
        known: u32,
    },
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        Self::Batch(error.into())
    }
}

impl Supervisor {
    /// Creates the supervisor of a consumer.
    pub fn new(context: Arc<ConsumerContext>) -> Self {
        Self {
            promotion: Promotion::new(context.clone()),
            _end: EndGuard(context.clone()),
            context,
            control: watch::Sender::new(Arc::default()),
            workers: HashMap::new(),
            retired: HashMap::new(),
            other_version: OtherVersion::default(),
            round_failures: FailureLog::default(),
            drop_failures: FailureLog::default(),
        }
    }

    /// Runs until `shutdown` is set or its sender is dropped; then lets every worker finish its batch.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let context = self.context.clone();
        let (mut failures, mut outages) = (0, 0);
        loop {
            let arrived = context.waiters.arrived();
            tokio::pin!(arrived);
            // From here on, the notification is not missed.
            arrived.as_mut().enable();
            let pause = match self.round().await {
                Ok(()) => {
                    (failures, outages) = (0, 0);
                    if let Some(outage) = self.round_failures.recovered() {
                        info!(name = context.name(), ?outage, "consumer continues");
                    }
                    self.poll_interval()
                }
                Err(RoundError::Batch(BatchError::Store(StoreError::Closed))) => break,
                Err(error) => {
                    // While the store is unavailable, it is retried without end.
                    match &error {
                        RoundError::Batch(error) if error.is_unavailable() => outages += 1,
                        _ => failures += 1,
                    }
                    self.report_failure(&error, failures);
                    context.retry.pause(failures + outages)
                }
            };
            tokio::select! {
                _ = shutdown.wait_for(|shutdown| *shutdown) => break,
                () = context.control_changed.notified() => {}
                () = context.build_advanced.notified() => {}
                () = arrived, if self.other_version.is_active => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let Self {
            control, workers, ..
        } = self;
        drop(control);
        for worker in workers.into_values() {
            // A panic has been reported by tokio.
            let _ = worker.await;
        }
    }

    fn poll_interval(&self) -> Duration {
        match self.other_version.is_active {
            true => self.context.poll_interval(),
            false => self.context.membership.poll_interval(),
        }
    }

    fn report_failure(&self, error: &RoundError, failures: u32) {
        let name = self.context.name();
        crate::metrics::record_consumer_failure(name);
        let state = if failures >= self.context.retry.attempts {
            ConsumerState::Stopped
        } else {
            ConsumerState::Retrying
        };
        let error = error_chain(error);
        if self.round_failures.failed() {
            warn!(name, error, failures, "consumer failed, retrying");
        }
        self.context.status.set_failure(state, error);
    }

    async fn round(&mut self) -> Result<(), RoundError> {
        let context = self.context.clone();
        if context.is_closed() {
            return Err(StoreError::Closed.into());
        }
        let read = self.read_control().await?;
        let is_abandoned = self.is_abandoned();
        let promoted = self.promotion.promote(read.clone(), is_abandoned).await;
        let read = match promoted {
            Err(error) => {
                // A build that cannot be prepared must not stop the active one.
                self.run_workers(&read);
                return Err(error.into());
            }
            Ok(ControlFlow::Continue(read)) => read,
            // Another node was faster, or another build is active now: read the control document again.
            Ok(ControlFlow::Break(())) => {
                context.control_changed.notify_one();
                return Ok(());
            }
        };
        self.run_workers(&read);
        // First, so that an error about the promotion contains the checkpoint of the active build.
        self.report_other_version(&read.control).await?;
        let blocked = self.promotion.blocked().cloned();
        context.status.set_promotion_blocked(blocked);
        context.status.set_head(context.head());
        if let Err(error) = self.drop_retired(&read.control).await {
            if matches!(
                error,
                RoundError::Batch(BatchError::Store(StoreError::Closed))
            ) {
                return Err(error);
            }
            if self.drop_failures.failed() {
                let (name, error) = (context.name(), error_chain(&error));
                warn!(name, error, "cannot drop an old build; will retry");
            }
        } else {
            self.drop_failures.recovered();
        }
        Ok(())
    }

    /// Reads the control document, and adds a build if this code has none.
    async fn read_control(&self) -> Result<VersionedControl, RoundError> {
        let context = &*self.context;
        let (name, version) = (context.name(), context.version());
        let read = control::read(&*context.documents, name).await?;
        if read.control.builds_of(version).next().is_some() {
            return Ok(read);
        }
        control::edit(&*context.documents, name, |control| {
            if control.builds_of(version).next().is_some() {
                return Ok(false);
            }
            match control.active_build() {
                Some(active) if active.version > version => Err(RoundError::Superseded {
                    name: name.to_owned(),
                    version: active.version,
                    known: version,
                }),
                _ => {
                    control.add_build(version, context.consumer.partitions());
                    Ok(true)
                }
            }
        })
        .await?;
        Ok(control::read(&*context.documents, name).await?)
    }

    /// Publishes the control document, and starts workers that are missing.
    fn run_workers(&mut self, read: &VersionedControl) {
        let control = &read.control;
        let own: Vec<Build> = control
            .builds_of(self.context.version())
            .filter(|build| !build.retired)
            .copied()
            .collect();
        self.context.status.set_builds(control.active, &own);
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
                let worker = self.workers.entry((build.number, partition));
                worker.or_insert_with(|| {
                    let control = self.control.subscribe();
                    let context = self.context.clone();
                    let worker = PartitionWorker::new(context, build, partition, control);
                    tokio::spawn(worker.run())
                });
            }
        }
    }

    /// Reports the active build if it has another version, so that only nodes with that code process it.
    async fn report_other_version(&mut self, control: &Control) -> Result<(), RoundError> {
        let context = self.context.clone();
        let active = control.active_build().copied();
        let active = active.filter(|active| active.version != context.version());
        self.other_version.is_active = active.is_some();
        let Some(active) = active else {
            self.other_version.abandoned_since = None;
            return Ok(());
        };
        let progress = build_progress(&*context.documents, context.name(), &active).await?;
        let mut holders = progress.holders.iter().flatten();
        let now = Instant::now();
        self.other_version.abandoned_since =
            match holders.any(|holder| context.membership.is_alive(*holder)) {
                true => None,
                false => self.other_version.abandoned_since.or(Some(now)),
            };
        // If its replacement will be promoted, it need not continue.
        let stopped = match self.promotion.blocked() {
            Some((_, reason)) if self.is_abandoned() => Some(abandoned(&active, reason)),
            _ => None,
        };
        let head = context.head();
        context.status.update((active.number, 0), |status| {
            status.is_other_version = true;
            status.state = match &stopped {
                Some(_) if progress.position < head => ConsumerState::Stopped,
                _ => ConsumerState::OnOtherNode,
            };
            status.last_error = stopped;
            status.node = progress.holders.first().copied().flatten();
            status.dead_letters = progress.dead_letters;
            status.newest = progress.newest;
            status.head = head;
            status.advance(progress.position);
        });
        Ok(())
    }

    /// Returns whether no node has processed the active build for the duration of a lease.
    fn is_abandoned(&self) -> bool {
        let lease = self.context.membership.lease();
        let since = self.other_version.abandoned_since;
        since.is_some_and(|since| since.elapsed() >= lease)
    }

    /// Drops builds that were retired so long ago that every node has read the change.
    async fn drop_retired(&mut self, control: &Control) -> Result<(), RoundError> {
        let now = Instant::now();
        let retired = control.builds.iter().filter(|build| build.retired);
        let retired: Vec<Build> = retired.copied().collect();
        self.retired
            .retain(|number, _| retired.iter().any(|build| build.number == *number));
        for build in retired {
            let since = *self.retired.entry(build.number).or_insert(now);
            let lease = self.context.membership.lease();
            if self.context.is_local() || now.duration_since(since) >= lease {
                self.drop_build(&build).await?;
            }
        }
        Ok(())
    }

    async fn drop_build(&self, build: &Build) -> Result<(), RoundError> {
        let context = &*self.context;
        let (name, number) = (context.name(), build.number);
        // A worker that is still running loses its lease.
        let keys = lease_keys(name, number, build.partitions);
        let deleted = keys
            .into_iter()
            .fold(DocumentChanges::new(), DocumentChanges::delete);
        let deleted = context.documents.change_documents(deleted).await;
        deleted.map_err(factum_core::document::DocumentError::into_store_error)?;
        let letters = context.dead_letters(number).delete_all().await;
        letters.map_err(factum_core::document::DocumentError::into_store_error)?;
        if let Some(model) = context.read_model() {
            catch_panic(model.drop_build(number)).await?;
        }
        control::edit(&*context.documents, name, |control| {
            control.builds.retain(|build| build.number != number);
            Ok::<_, RoundError>(true)
        })
        .await?;
        info!(name, build = number, "build dropped");
        Ok(())
    }
}

/// Records the end of a consumer when it is dropped.
struct EndGuard(Arc<ConsumerContext>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.status.set_ended();
        self.0.ended.send_replace(true);
    }
}

fn abandoned(active: &Build, reason: &str) -> String {
    format!(
        "no node processes the active build {}: start a node with code of version {}; {reason}",
        active.number, active.version
    )
}
