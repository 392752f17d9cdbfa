//! [`Dispatcher`]: reads due work, and passes each item to [`WorkExecutor`](super::work_executor::WorkExecutor).
//!
//! There is one dispatcher for each process manager, one for all schedules, and one for all deadlines of decisions.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use factum_core::document::{DocumentStore, Revision};
use factum_core::timestamp::Timestamp;
use factum_engine::clock::{Clock, SharedClock};
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::error::{StoreError, error_chain, panic_message};
use factum_engine::process::instance::{DueEntry, InstanceKeys, InstanceWork, ProcessInstance};
use futures_util::stream;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{Instrument as _, debug, info, warn};

use super::backoff::{Backoff, WHOLE_INSTANCE};
use super::deadline_gate::{DeadlineGate, DeadlinePermission};
use super::definition::ProcessDefinition;
use super::dispatch_error::DispatchError;
use super::documents::{Changed, find_instance, try_change};
use super::due_index::DueIndex;
use super::fence::{DispatchOwner, Fence};
use super::handle::DeliveryHandle;
use super::later_due_time::later_due_time;
use super::report::WorkReport;
use super::signals::Signals;
use super::work_executor::WorkExecutor;
use crate::failure_log::FailureLog;

/// The interval at which a deadline that waits for events is checked again.
const EVENT_POLL: Duration = Duration::from_millis(20);

/// Reads due work, and passes each item to the executor of work.
pub struct Dispatcher {
    definition: Arc<dyn ProcessDefinition>,
    keys: InstanceKeys,
    engine: Engine,
    clock: SharedClock,
    signals: Arc<Signals>,
    owner: DispatchOwner,
    retry: RetryPolicy,
    poll_interval: Duration,
    /// The number of commands that are executed at a time.
    concurrency: usize,
    due_index: DueIndex,
    backoff: Backoff,
    gate: DeadlineGate,
    report: WorkReport,
    load_failures: FailureLog,
    command_failures: FailureLog,
    /// The number of consecutive conflicts with another node.
    conflicts: AtomicU32,
    /// The number of consecutive times that a deadline had to wait for events.
    event_waits: AtomicU32,
}

/// The settings that all dispatchers of a runtime have.
#[derive(Clone)]
pub struct DispatcherSettings {
    /// The engine that executes commands.
    pub engine: Engine,
    /// The clock of deadlines and schedules.
    pub clock: SharedClock,
    /// The number of retries, and the pauses between them.
    pub retry: RetryPolicy,
    /// The interval at which work of other nodes is read.
    pub poll_interval: Duration,
    /// The number of commands that are executed at a time; 0 counts as 1.
    pub concurrency: usize,
}

/// The task of a dispatcher. Dropping it aborts the task.
pub struct DispatcherTask {
    name: &'static str,
    task: AbortHandle,
    /// Set when the task has ended.
    ended: watch::Receiver<bool>,
}

/// The time that a dispatcher waits.
enum Pause {
    For(Duration),
    /// Until a time of the clock, at most this long.
    Until(Timestamp, Duration),
}

impl Dispatcher {
    /// Creates the dispatcher of `deliveries`, for the nodes that are the owner.
    pub fn new(
        deliveries: &DeliveryHandle,
        owner: DispatchOwner,
        settings: DispatcherSettings,
    ) -> Self {
        let (definition, keys) = (deliveries.definition().clone(), deliveries.keys().clone());
        Self {
            due_index: DueIndex::new(keys.clone()),
            backoff: Backoff::new(settings.retry.clone()),
            gate: DeadlineGate::default(),
            report: WorkReport::new(definition.name()),
            load_failures: FailureLog::default(),
            command_failures: FailureLog::default(),
            conflicts: AtomicU32::new(0),
            event_waits: AtomicU32::new(0),
            definition,
            keys,
            engine: settings.engine,
            clock: settings.clock,
            signals: deliveries.shared_signals().clone(),
            owner,
            retry: settings.retry,
            poll_interval: settings.poll_interval,
            concurrency: settings.concurrency.max(1),
        }
    }

    /// Starts the task; `started` is the time of the program's start.
    pub fn start(self, started: Timestamp, shutdown: watch::Receiver<bool>) -> DispatcherTask {
        let name = self.definition.name();
        let (end, ended) = watch::channel(false);
        let task = tokio::spawn(async move {
            self.run(started, shutdown).await;
            end.send_replace(true);
        });
        DispatcherTask {
            name,
            task: task.abort_handle(),
            ended,
        }
    }

    fn documents(&self) -> &dyn DocumentStore {
        &**self.engine.store()
    }

    async fn run(self, started: Timestamp, mut shutdown: watch::Receiver<bool>) {
        let span = tracing::info_span!("process manager", name = self.definition.name());
        let work = async {
            let mut fence = None;
            let mut failures = 0;
            while !*shutdown.borrow() {
                let round = async {
                    match self.signals.is_initialized() {
                        true => self.round(&mut fence, &shutdown).await,
                        false => self.initialize(started).await,
                    }
                };
                let done = AssertUnwindSafe(round).catch_unwind().await;
                let done = done.unwrap_or_else(|panic| {
                    let error = panic_message(&*panic);
                    Err(StoreError::Failed(error.into()).into())
                });
                let pause = match done {
                    Ok(pause) => {
                        failures = 0;
                        if let Some(outage) = self.load_failures.recovered() {
                            info!(?outage, "due work can be loaded again");
                        }
                        pause
                    }
                    Err(DispatchError::EventsFirst | DispatchError::Conflict) => {
                        Pause::For(self.poll_interval)
                    }
                    Err(DispatchError::Fenced) => {
                        debug!("another dispatcher has started");
                        fence = None;
                        continue;
                    }
                    Err(DispatchError::Store(StoreError::Closed)) => return,
                    Err(DispatchError::Store(error)) => {
                        failures += 1;
                        if self.load_failures.failed() {
                            let error = error_chain(&error);
                            warn!(error, failures, "cannot load due work, retrying");
                        }
                        Pause::For(self.retry.pause(failures))
                    }
                };
                tokio::select! {
                    _ = shutdown.changed() => {}
                    () = self.signals.woken() => {}
                    () = self.earlier_deadline() => {}
                    () = self.pause(pause) => {}
                }
            }
        };
        work.instrument(span).await;
    }

    async fn initialize(&self, started: Timestamp) -> Result<Pause, DispatchError> {
        let initialized = self.definition.initialize(self.documents(), started);
        initialized.await?;
        self.signals.set_initialized();
        Ok(Pause::For(Duration::ZERO))
    }

    async fn pause(&self, pause: Pause) {
        let (time, longest) = match pause {
            Pause::For(longest) => (None, longest),
            Pause::Until(time, longest) => (Some(time), longest),
        };
        let clock = async {
            match time {
                Some(time) => self.clock.sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(longest) => {}
            () = clock => {}
        }
    }

    /// Sets the time of the next deadline.
    ///
    /// [`earlier_deadline`](Self::earlier_deadline) ends if an append of this node sets an earlier one. Deadlines that
    /// are set while the next one is read count as earlier.
    fn expect_deadline(&self, next: Option<Timestamp>) {
        if self.definition.are_decision_deadlines() {
            self.engine.alarm().expect(next);
        }
    }

    async fn earlier_deadline(&self) {
        match self.definition.are_decision_deadlines() {
            true => self.engine.alarm().earlier().await,
            false => std::future::pending().await,
        }
    }

    /// Executes all due work, and returns the time to wait for more work.
    async fn round(
        &self,
        fence: &mut Option<Fence>,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<Pause, DispatchError> {
        if fence.is_none() {
            *fence = Fence::create(self.documents(), &self.owner, &self.keys).await?;
            match fence {
                Some(_) => {
                    self.report
                        .report_failed(self.documents(), &self.keys)
                        .await;
                }
                None => self.report.report_none().await,
            }
        }
        let Some(fence) = fence else {
            return Ok(Pause::For(self.poll_interval));
        };
        loop {
            self.expect_deadline(None);
            let due = self.due_index.read(
                self.documents(),
                &*self.definition,
                &self.backoff,
                &self.signals,
                self.poll_interval,
                self.clock.now(),
            );
            let due = due.await?;
            self.report.report_due(due.entries.len() + due.paused);
            let Some(first) = due.entries.first() else {
                return Ok(self.nothing_until(due.next, due.next_retry).await);
            };
            if *shutdown.borrow() {
                return Ok(Pause::For(Duration::ZERO));
            }
            if self.definition.are_decision_deadlines() {
                match self.execute_one_by_one(due.entries, fence, shutdown).await {
                    Err(DispatchError::Conflict) => {
                        return Ok(Pause::For(self.pause_after_conflict()));
                    }
                    done => done?,
                }
            } else if first.is_deadline {
                // A deadline is handled after all earlier work, so that its reactions are executed in order, too.
                match self.execute(&first.id, fence).await {
                    Err(DispatchError::EventsFirst) => {
                        return Ok(Pause::For(self.pause_before_events()));
                    }
                    done => done?,
                }
                self.event_waits.store(0, Relaxed);
            } else {
                match self.execute_commands(&due.entries, fence).await {
                    Err(DispatchError::Conflict) => {
                        return Ok(Pause::For(self.pause_after_conflict()));
                    }
                    done => done?,
                }
                self.conflicts.store(0, Relaxed);
            }
        }
    }

    async fn execute_one_by_one(
        &self,
        entries: Vec<DueEntry>,
        fence: &Fence,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<(), DispatchError> {
        for entry in entries {
            self.execute(&entry.id, fence).await?;
            self.conflicts.store(0, Relaxed);
            if *shutdown.borrow() {
                break;
            }
        }
        Ok(())
    }

    /// Executes the commands before the first deadline.
    async fn execute_commands(
        &self,
        entries: &[DueEntry],
        fence: &Fence,
    ) -> Result<(), DispatchError> {
        let commands = entries.iter().take_while(|entry| !entry.is_deadline);
        let executions: Vec<_> = commands
            .map(|entry| self.execute(&entry.id, fence))
            .collect();
        let mut done = stream::iter(executions).buffer_unordered(self.concurrency);
        while let Some(done) = done.next().await {
            match done {
                Err(DispatchError::EventsFirst) => {}
                done => done?,
            }
        }
        Ok(())
    }

    async fn nothing_until(&self, next: Option<Timestamp>, next_retry: Option<Duration>) -> Pause {
        self.report
            .refresh_failed(self.documents(), &self.keys)
            .await;
        if next_retry.is_none() {
            // All work that failed before is done, or does not exist any more.
            self.backoff.clear();
        }
        self.expect_deadline(next);
        let longest = next_retry.map_or(self.poll_interval, |it| it.min(self.poll_interval));
        match next {
            Some(next) => Pause::Until(next, longest),
            None => Pause::For(longest),
        }
    }

    /// Returns the time to leave the work to another, faster node; it is longer after each conflict.
    fn pause_after_conflict(&self) -> Duration {
        let conflicts = self.conflicts.fetch_add(1, Relaxed);
        let pause = self.poll_interval / 8 * 2_u32.pow(conflicts.min(3));
        pause.min(self.poll_interval)
    }

    /// Returns the time to wait for events that must be processed before a deadline.
    ///
    /// It is longer each time: the consumer may be paused.
    fn pause_before_events(&self) -> Duration {
        let waits = self.event_waits.fetch_add(1, Relaxed);
        let pause = EVENT_POLL.saturating_mul(2_u32.saturating_pow((waits / 8).min(16)));
        pause.min(self.poll_interval)
    }

    /// Executes the next work of an instance.
    ///
    /// An instance that cannot be decoded or stored does not delay other instances.
    async fn execute(&self, id: &str, fence: &Fence) -> Result<(), DispatchError> {
        match self.try_execute(id, fence).await {
            Err(DispatchError::Store(
                error @ (StoreError::Failed(_) | StoreError::Corrupt(_) | StoreError::Denied(_)),
            )) => {
                self.backoff.pause(id, WHOLE_INSTANCE);
                if self.backoff.must_log(id, WHOLE_INSTANCE) {
                    let error = error_chain(&error);
                    warn!(
                        instance = id,
                        error, "instance skipped after a storage error, will retry"
                    );
                }
                Ok(())
            }
            done => done,
        }
    }

    async fn try_execute(&self, id: &str, fence: &Fence) -> Result<(), DispatchError> {
        let found = find_instance(self.documents(), &self.keys, id).await?;
        let Some((revision, instance)) = found else {
            self.backoff.remove(id);
            self.due_index.record_obsolete_entry();
            return match self.definition.are_decision_deadlines() {
                true => Err(DispatchError::Conflict),
                false => Ok(()),
            };
        };
        if let Some(newer) = self.definition.newer_schema(&instance) {
            self.leave_to_newer_code(id, WHOLE_INSTANCE, &newer.to_string());
            return Ok(());
        }
        let now = self.clock.now();
        match instance.next_work() {
            Some((at, InstanceWork::Command(pending))) if at <= now => {
                let store = &**self.engine.store();
                if let Some(due) = later_due_time(store, &self.clock, &pending, now).await? {
                    return self
                        .move_command(revision, instance, pending.number, due)
                        .await;
                }
                let executor = self.executor(fence);
                let left = executor.command(revision, &instance, pending).await?;
                if let Some(newer) = left {
                    self.leave_to_newer_code(id, newer.number, &newer.error);
                }
                Ok(())
            }
            Some((at, InstanceWork::Deadline(name, timer))) if at <= now => {
                let store = &**self.engine.store();
                let process = self.definition.name();
                let permission = self.gate.check(store, &self.owner, process, id, at, now);
                match permission.await? {
                    DeadlinePermission::Granted => {
                        self.executor(fence).deadline(id, &name, &timer, now).await
                    }
                    DeadlinePermission::EventsFirst => Err(DispatchError::EventsFirst),
                    DeadlinePermission::Blocked => {
                        self.backoff.pause_for(id, timer.number, self.poll_interval);
                        Ok(())
                    }
                }
            }
            _ => self.repair_due_entry(revision, instance, fence, now).await,
        }
    }

    /// Moves a command to the time `due`.
    async fn move_command(
        &self,
        revision: Revision,
        mut instance: ProcessInstance,
        number: u64,
        due: Timestamp,
    ) -> Result<(), DispatchError> {
        instance.move_command(number, due);
        match try_change(self.documents(), instance.store(&self.keys, revision)?).await? {
            Changed::Yes(_) => Ok(()),
            Changed::Conflict(_) => Err(DispatchError::Conflict),
        }
    }

    fn executor<'a>(&'a self, fence: &'a Fence) -> WorkExecutor<'a> {
        WorkExecutor {
            definition: &*self.definition,
            keys: &self.keys,
            engine: &self.engine,
            clock: &self.clock,
            signals: &self.signals,
            backoff: &self.backoff,
            report: &self.report,
            failures: &self.command_failures,
            fence,
        }
    }

    /// Leaves the work to nodes with newer code.
    fn leave_to_newer_code(&self, id: &str, number: u64, error: &str) {
        self.backoff.pause_for(id, number, self.poll_interval);
        if self.backoff.must_log(id, number) {
            warn!(instance = id, error, "the next work needs newer code");
        }
        if let DispatchOwner::LeaseHolder { lease, membership } = &self.owner {
            membership.offer_handover(lease, error);
        }
    }

    /// Repairs an entry of the due index whose instance has no due work.
    ///
    /// The instance is stored again, or the entry is recorded as obsolete.
    async fn repair_due_entry(
        &self,
        revision: Revision,
        instance: ProcessInstance,
        fence: &Fence,
        now: Timestamp,
    ) -> Result<(), DispatchError> {
        if instance.due_at().is_none_or(|at| at > now) {
            self.due_index.record_obsolete_entry();
            return Ok(());
        }
        let changes = fence.require(instance.store(&self.keys, revision)?);
        match try_change(self.documents(), changes).await? {
            Changed::Conflict(key) if fence.is_token(&key) => Err(DispatchError::Fenced),
            _ => Ok(()),
        }
    }
}

impl DispatcherTask {
    /// Returns the name of the process manager.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Waits until the task has ended.
    pub async fn ended(&self) {
        // A task that was aborted has dropped the sender.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Returns whether the task has ended.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    /// Ends the task within its current work.
    pub fn abort(&self) {
        self.task.abort();
    }
}

impl Drop for DispatcherTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}
