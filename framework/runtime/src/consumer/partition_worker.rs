//! [`PartitionWorker`]: the task of one partition of one build. Acquires the lease, catches up, follows the log,
//! releases.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use factum_core::position::Position;
use factum_core::read::Page;
use factum_core::timestamp::Timestamp;
use factum_engine::error::{StoreError, error_chain, panic_message};
use factum_engine::subscription::Subscription;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tracing::{Instrument as _, debug, error, info, warn};

use super::batch::BatchError;
use super::batch_applier::BatchApplier;
use super::build::Build;
use super::context::{ConsumerContext, PROMOTION_PAUSE};
use super::control::{VersionedControl, control_key};
use super::dead_letter_retry::DeadLetterRetrier;
use super::lease::{Checkpoint, Stop};
use super::lease_holder::LeaseHolder;
use super::panic_guard::catch_panic;
use super::partition::Partition;
use super::partition_reporter::PartitionReporter;
use super::session::{PartitionSession, RetryState, SessionEnd};
use super::status::ConsumerState;
use super::traits::NewerEvents;
use crate::lease::{KnownControl, Lease};
use crate::log_head::{position_at, read_head};

/// The difference between the clocks of two nodes that causes no warning.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The task of one partition of one build.
pub struct PartitionWorker {
    context: Arc<ConsumerContext>,
    build: Build,
    holder: LeaseHolder,
    applier: BatchApplier,
    reporter: PartitionReporter,
    control: watch::Receiver<Arc<VersionedControl>>,
    /// The number of the newest request to hold the build that was carried out.
    carried_out_pauses: u64,
    /// Set if appends move the checkpoint, because the projection is inline.
    is_inline: bool,
    /// Set after a warning about times in the future.
    has_warned: bool,
}

impl PartitionWorker {
    /// Creates the worker of a partition.
    pub fn new(
        context: Arc<ConsumerContext>,
        build: Build,
        index: u16,
        control: watch::Receiver<Arc<VersionedControl>>,
    ) -> Self {
        let partition = Partition {
            index,
            count: build.partitions,
        };
        let reporter = PartitionReporter::new(context.clone(), (build.number, index));
        let holder = LeaseHolder::new(
            context.clone(),
            build.number,
            index,
            reporter.clone(),
            control.clone(),
        );
        let applier = BatchApplier::new(
            context.clone(),
            build.number,
            partition,
            reporter.clone(),
            control.clone(),
        );
        let carried_out_pauses = control.borrow().control.promotion_pauses;
        Self {
            context,
            build,
            holder,
            applier,
            reporter,
            control,
            carried_out_pauses,
            is_inline: false,
            has_warned: false,
        }
    }

    /// Runs until the build is dropped, this node shuts down, or the store is closed.
    pub async fn run(mut self) {
        let span = tracing::info_span!("consumer", name = self.context.name());
        let (context, reporter) = (self.context.clone(), self.reporter.clone());
        let work = async {
            tokio::select! {
                () = context.membership.ready() => {}
                () = self.holder.shutdown() => return,
            }
            while let Some(lease) = self.holder.acquire().await {
                let needs_newer_code = self.run_with_lease(lease).await;
                self.holder.released();
                if context.is_closed() {
                    return;
                }
                if needs_newer_code {
                    self.holder.yield_to_newer_code().await;
                }
            }
        };
        let work = AssertUnwindSafe(work.instrument(span)).catch_unwind();
        let mut aborted = context.aborted.subscribe();
        let done = tokio::select! {
            done = work => done,
            _ = aborted.wait_for(|aborted| *aborted) => return,
        };
        if let Err(panic) = done {
            // The supervisor starts another worker. Until then, waiting callers see the error.
            reporter.update(|status| {
                status.state = ConsumerState::Stopped;
                status.last_error = Some(panic_message(&*panic));
            });
        }
    }

    /// Processes events while the lease is held. Returns whether the next event needs newer code.
    async fn run_with_lease(&mut self, lease: Lease<Checkpoint>) -> bool {
        let mut session = PartitionSession::new(lease);
        let node = self.context.membership.node();
        self.reporter.update(|status| {
            status.node = Some(node);
            status.state = ConsumerState::Starting;
        });
        loop {
            let consumed = AssertUnwindSafe(self.consume(&mut session)).catch_unwind();
            let end = match consumed.await {
                Ok(Ok(never)) => match never {},
                Ok(Err(end)) => end,
                Err(panic) => BatchError::Panicked(panic_message(&*panic)).into(),
            };
            let needs_newer_code = matches!(end, SessionEnd::NewerCode(_));
            let continues = match end {
                SessionEnd::LeaseLost => {
                    self.check_lost_lease(&mut session).await;
                    return false;
                }
                SessionEnd::Closed => {
                    self.context.record_closed();
                    false
                }
                SessionEnd::Shutdown | SessionEnd::Release => false,
                SessionEnd::Restart => true,
                SessionEnd::NewerCode(error) => {
                    warn!(error, "the next event needs newer code");
                    self.reporter.set_retrying(error);
                    false
                }
                SessionEnd::Paused => self.wait_for_request(ConsumerState::Paused).await,
                SessionEnd::Failed(error) => self.recover(error, &mut session).await,
                SessionEnd::Stopped(error) => {
                    crate::metrics::record_consumer_failure(self.context.name());
                    self.stop(error, None, &mut session).await
                }
                SessionEnd::BeyondHead(head) => self.stop_beyond_head(head, &mut session).await,
                SessionEnd::StillStopped(stop) => {
                    self.stop(stop.error, stop.restored, &mut session).await
                }
            };
            if !continues {
                self.holder.release(session.lease).await;
                return needs_newer_code;
            }
        }
    }

    /// Checks whether an append or another node has moved the checkpoint.
    async fn check_lost_lease(&mut self, session: &mut PartitionSession) {
        let position = session.lease.state().position;
        let is_own = session.lease.reload(&*self.context.documents).await;
        // An interruption by a request leaves the checkpoint where it is.
        let moved = session.lease.state().position > position;
        if let Ok(is_own) = is_own {
            self.is_inline = is_own && (moved || self.is_inline);
        }
        debug!(is_inline = self.is_inline, "lease changed");
    }

    /// Waits for another request; returns `false` if the partition is no longer needed.
    async fn wait_for_request(&mut self, state: ConsumerState) -> bool {
        self.reporter.set_state(state);
        self.control.changed().await.is_ok() && self.holder.is_wanted()
    }

    /// Processes pages of events, until the session ends.
    async fn consume(&mut self, session: &mut PartitionSession) -> Result<Infallible, SessionEnd> {
        session.deferred.clear();
        self.prepare(session).await?;
        let query = self.context.consumer.query();
        let position = session.lease.state().position;
        let mut subscription = Subscription::new(self.context.store.clone(), query, position);
        let head = self.context.store.watch();
        let poll_interval = self.context.membership.poll_interval();
        loop {
            self.apply_control(session).await?;
            let has_more = *head.borrow() > subscription.position();
            let is_retrying = matches!(session.retry, RetryState::Running(_));
            if is_retrying && !session.deferred.is_pending() && !has_more {
                continue;
            }
            let mut next_page = pin!(subscription.next_page());
            let page = loop {
                tokio::select! {
                    biased;
                    changed = self.control.changed() => match changed {
                        Ok(()) => break None,
                        Err(_) => return Err(SessionEnd::Shutdown),
                    },
                    page = &mut next_page => break self.defer(session, page?),
                    () = session.deferred.due(&self.context) => break session.deferred.take(),
                    // The read continues: a page can take longer than the interval.
                    () = tokio::time::sleep(poll_interval) => self.apply_control(session).await?,
                }
                if matches!(session.retry, RetryState::Running(_)) {
                    break None;
                }
            };
            let Some(mut page) = page else { continue };
            if self.is_inline {
                self.remove_processed(session, &mut page).await?;
            }
            if !self.is_inline || page.through() > session.lease.state().position {
                self.applier.apply_page(session, &page).await?;
            }
            session.failures = 0;
            session.outages = 0;
            if let Some(outage) = session.failure_log.recovered() {
                info!(?outage, "consumer continues");
            }
            self.report_progress(session, &page);
            self.check_times(&page);
            if self.control.borrow().control.active < Some(self.build.number) {
                self.context.build_advanced.notify_one();
            }
        }
    }

    /// Defers a page without events of the partition. Returns the page to process, if any.
    fn defer(&self, session: &mut PartitionSession, page: Page) -> Option<Page> {
        let mut events = page.events.iter();
        let has_events = events.any(|event| self.applier.contains(&event.stream));
        // The deadlines of a process manager need its checkpoint, appends need that of an inline projection, and
        // checkpoints in memory cost nothing.
        let needs_checkpoint = self.is_inline
            || self.context.consumer.newer_events() == NewerEvents::Wait
            || self.context.is_local();
        let context = &self.context;
        session
            .deferred
            .defer(page, has_events || needs_checkpoint, context)
    }

    /// Removes the events of `page` that appends have processed.
    async fn remove_processed(
        &self,
        session: &mut PartitionSession,
        page: &mut Page,
    ) -> Result<(), SessionEnd> {
        let known = self.control.borrow().clone();
        let control = KnownControl {
            key: &control_key(self.context.name()),
            revision: known.revision,
        };
        let documents = &*self.context.documents;
        if !session
            .lease
            .reload_with_control(documents, control)
            .await?
        {
            return Err(SessionEnd::LeaseLost);
        }
        let processed = session.lease.state().position;
        if page.through() > processed {
            page.events.retain(|event| event.position > processed);
        }
        Ok(())
    }

    /// Prepares the build, and loads the dead-letter queue.
    async fn prepare(&self, session: &mut PartitionSession) -> Result<(), SessionEnd> {
        let context = &*self.context;
        if !session.lease.reload(&*context.documents).await? {
            return Err(SessionEnd::LeaseLost);
        }
        self.check_head(session).await?;
        if let Some(model) = context.read_model() {
            let prepared = catch_panic(model.prepare(self.build.number)).await;
            prepared.map_err(|error| match error {
                BatchError::Store(StoreError::Closed) => SessionEnd::Closed,
                error => SessionEnd::Failed(error),
            })?;
        }
        context.consumer.acquired();
        self.applier.load_queue(session).await?;
        let head = context.head();
        self.reporter.update(|status| {
            status.reset_position(session.lease.state().position);
            status.head = head;
            status.dead_letters = session.queue.len();
            status.newest = session.lease.state().newest;
            status.state = ConsumerState::CatchingUp;
            if status.position >= head {
                // Another node has processed the events that failed on this node.
                status.last_error = None;
                status.state = ConsumerState::Live;
            }
        });
        Ok(())
    }

    /// Checks that the log has the position of the checkpoint, and had it before.
    ///
    /// A checkpoint beyond the head belongs to another log. After a request to resume, an event handler or a process
    /// manager continues after the last event that it has processed. A read model must be rebuilt.
    async fn check_head(&self, session: &mut PartitionSession) -> Result<(), SessionEnd> {
        let context = &*self.context;
        let position = session.lease.state().position;
        let stop = session.lease.state().stopped.clone();
        if let Some(stop) = stop
            && let Some(restored) = stop.restored
        {
            let is_resumed = self.control.borrow().control.resumed > stop.resumed;
            if context.read_model().is_some() || !is_resumed {
                return Err(SessionEnd::StillStopped(stop));
            }
            let next = Checkpoint {
                position: restored,
                stopped: None,
                ..session.lease.state().clone()
            };
            warn!(%position, %restored, "continuing in a restored log");
            return Ok(self.applier.store_checkpoint(session, next).await?);
        }
        // Another node may have processed events that this handle has not been notified of.
        if position > context.head() {
            let head = read_head(&*context.store).await?;
            if position > head {
                return Err(SessionEnd::BeyondHead(head));
            }
        }
        Ok(())
    }

    /// Carries out the requests since the last page.
    async fn apply_control(&mut self, session: &mut PartitionSession) -> Result<(), SessionEnd> {
        if self.control.has_changed().is_err() {
            return Err(SessionEnd::Shutdown);
        }
        let known = self.control.borrow_and_update().clone();
        // A clone knows which changes were seen.
        self.applier.set_control(self.control.clone());
        let control = &known.control;
        if !control.wants(self.build.number) {
            return Err(SessionEnd::Shutdown);
        }
        if control.paused {
            return Err(SessionEnd::Paused);
        }
        if control.promotion_pauses > self.carried_out_pauses {
            self.carried_out_pauses = control.promotion_pauses;
            self.wait_for_promotion().await;
        }
        let membership = &self.context.membership;
        if membership.should_release(self.holder.key()) {
            return Err(SessionEnd::Release);
        }
        if let Some(reason) = membership.handover_reason(self.holder.key()) {
            return Err(SessionEnd::NewerCode(reason));
        }
        let retrier = DeadLetterRetrier {
            applier: &self.applier,
            context: &self.context,
            reporter: &self.reporter,
        };
        retrier.run(session, control).await
    }

    /// Lets the replacement of this build overtake it.
    ///
    /// Other nodes may read the request only at their next poll.
    async fn wait_for_promotion(&mut self) {
        let build = self.build.number;
        let is_replaced = |read: &Arc<VersionedControl>| read.control.active != Some(build);
        let longest = self.context.membership.poll_interval() + PROMOTION_PAUSE;
        // The control document determines the next step, also after a timeout.
        let _ = tokio::time::timeout(longest, self.control.wait_for(is_replaced)).await;
    }

    /// Warns once if events have times in the future.
    fn check_times(&mut self, page: &Page) {
        let Some(newest) = page.events.last().map(|event| event.recorded_at) else {
            return;
        };
        let ahead = newest.since(Timestamp::now());
        if ahead > MAX_CLOCK_SKEW && !self.has_warned {
            self.has_warned = true;
            warn!(
                recorded_at = %newest,
                ?ahead,
                "events have times in the future: the clock of a node was wrong; recorded times never decrease, so later \
                 events have such times, too"
            );
        }
    }

    fn report_progress(&self, session: &PartitionSession, page: &Page) {
        let newest = page.events.last().map(|event| event.recorded_at);
        self.reporter.update(|status| {
            status.advance(page.through());
            status.head = page.head;
            status.newest = newest.or(status.newest);
            status.dead_letters = session.queue.len();
            status.last_error = None;
            let has_caught_up = status.position >= status.head;
            status.state = match status.state {
                ConsumerState::Live => ConsumerState::Live,
                _ if has_caught_up => ConsumerState::Live,
                _ => ConsumerState::CatchingUp,
            };
        });
    }

    /// Pauses after a failure, or stops and waits for a request.
    ///
    /// Returns `false` if the partition is no longer needed.
    async fn recover(&mut self, failed: BatchError, session: &mut PartitionSession) -> bool {
        crate::metrics::record_consumer_failure(self.context.name());
        match failed.is_unavailable() {
            true => session.outages += 1,
            false => session.failures += 1,
        }
        let is_inconsistent = matches!(failed, BatchError::Inconsistent { .. });
        let retry = &self.context.retry;
        let gives_up = session.failures >= retry.attempts;
        let (text, failures) = (error_chain(&failed), session.failures + session.outages);
        if is_inconsistent || gives_up {
            return self.stop(text, None, session).await;
        }
        self.reporter
            .update(|status| status.last_error = Some(text.clone()));
        let pause = retry.pause(failures);
        if session.failure_log.failed() {
            warn!(error = text, failures, ?pause, "consumer failed, retrying");
        }
        self.reporter.set_state(ConsumerState::Retrying);
        tokio::select! {
            changed = self.control.changed() => changed.is_ok() && self.holder.is_wanted(),
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Stops at the checkpoint and waits for a request.
    ///
    /// Returns `false` if the partition is no longer needed.
    async fn stop(
        &mut self,
        error: String,
        restored: Option<Position>,
        session: &mut PartitionSession,
    ) -> bool {
        error!(error, "consumer stopped");
        session.failures = 0;
        session.outages = 0;
        self.store_stop(session, error.clone(), restored).await;
        self.reporter.update(|status| {
            status.last_error = Some(error);
            if let Some(restored) = restored {
                status.reset_position(restored);
            }
        });
        self.wait_for_request(ConsumerState::Stopped).await
    }

    /// Stops because the checkpoint is beyond the head of the log.
    async fn stop_beyond_head(&mut self, head: Position, session: &mut PartitionSession) -> bool {
        let checkpoint = session.lease.state();
        let restored = match checkpoint.newest {
            // New events have later times.
            Some(newest) => match position_at(&*self.context.store, newest).await {
                Ok(restored) => restored,
                Err(error) => return self.recover(error.into(), session).await,
            },
            None => head,
        };
        crate::metrics::record_consumer_failure(self.context.name());
        let position = session.lease.state().position;
        let help = match self.context.read_model() {
            Some(_) => "call `rebuild`".to_owned(),
            None => format!(
                "restore events and checkpoints from one backup, or call `resume` to continue after position {restored}"
            ),
        };
        let error = format!(
            "checkpoint {position} is beyond the head of the log: {head}; the log was replaced or restored from a backup: \
             {help}"
        );
        self.stop(error, Some(restored), session).await
    }

    /// Stores the reason of a stop, for other nodes.
    async fn store_stop(
        &self,
        session: &mut PartitionSession,
        error: String,
        restored: Option<Position>,
    ) {
        let next = Checkpoint {
            stopped: Some(Stop {
                error,
                resumed: self.control.borrow().control.resumed,
                restored,
            }),
            ..session.lease.state().clone()
        };
        if let Err(error) = self.applier.store_checkpoint(session, next).await {
            warn!(%error, "cannot store that the consumer has stopped");
        }
    }
}
