//! [`BatchApplier`]: applies events to one partition of a build in short batches, and isolates events that fail.
//!
//! It carries out the failure policy. Each commit stores the checkpoint, and so renews the lease.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use factum_core::document::encode_document;
use factum_core::position::Position;
use factum_core::read::Page;
use factum_core::stream_id::StreamId;
use factum_engine::error::error_chain;
use factum_engine::record::RecordedEvent;
use tokio::sync::watch;
use tracing::{Instrument as _, Level, Span, debug_span, span_enabled, warn};

use super::batch::{Batch, BatchError, ConsumerError, EventError};
use super::batch_size::BatchSize;
use super::context::ConsumerContext;
use super::control::VersionedControl;
use super::dead_letter::{DeadLetter, DeadLetterState, StoredDeadLetter};
use super::dead_letter_queue::{BlockedKeys, DeadLetterQueue};
use super::failure_policy::{Failure, FailureAction};
use super::lease::Checkpoint;
use super::panic_guard::catch_panic;
use super::partition::Partition;
use super::partition_reporter::PartitionReporter;
use super::session::{PartitionSession, RetryState, SessionEnd};
use super::traits::NewerEvents;
use crate::failure_log::FailureLog;

/// Applies events to one partition of a build.
pub struct BatchApplier {
    context: Arc<ConsumerContext>,
    build: u64,
    partition: Partition,
    batch_size: BatchSize,
    reporter: PartitionReporter,
    control: watch::Receiver<Arc<VersionedControl>>,
}

/// The content of one transaction.
///
/// The events take effect, dead letters are added and removed, and the checkpoint moves.
pub struct Commit<'e> {
    /// The events to process.
    pub events: &'e [RecordedEvent],
    /// The dead letters to store.
    pub letters: Vec<DeadLetter>,
    /// The stored dead letter to replace; `letters` then has exactly one entry.
    pub replaced: Option<&'e StoredDeadLetter>,
    /// The dead letters whose events are processed now.
    pub resolved: &'e [StoredDeadLetter],
    /// The new checkpoint.
    pub through: Position,
}

impl<'e> Commit<'e> {
    /// Creates a commit that processes `events`.
    pub fn events(events: &'e [RecordedEvent], through: Position) -> Self {
        Self {
            events,
            letters: Vec::new(),
            replaced: None,
            resolved: &[],
            through,
        }
    }

    /// Creates a commit that stores a dead letter.
    pub fn dead_letter(letter: DeadLetter, through: Position) -> Self {
        Self {
            letters: vec![letter],
            ..Self::events(&[], through)
        }
    }
}

impl BatchApplier {
    /// Creates the applier of a partition of `build`.
    pub fn new(
        context: Arc<ConsumerContext>,
        build: u64,
        partition: Partition,
        reporter: PartitionReporter,
        control: watch::Receiver<Arc<VersionedControl>>,
    ) -> Self {
        Self {
            context,
            build,
            partition,
            batch_size: BatchSize::new(),
            reporter,
            control,
        }
    }

    /// Sets the control document that was carried out. A newer one interrupts the pauses between attempts.
    pub fn set_control(&mut self, control: watch::Receiver<Arc<VersionedControl>>) {
        self.control = control;
    }

    /// Returns whether `stream` belongs to the partition.
    pub fn contains(&self, stream: &StreamId) -> bool {
        self.partition.contains(stream)
    }

    /// Loads the dead-letter queue of the partition.
    pub async fn load_queue(&self, session: &mut PartitionSession) -> Result<(), SessionEnd> {
        // Dead letters that change after this may be in the queue, and are loaded again.
        let changes = self.control.borrow().control.dead_letter_changes;
        let letters = self.context.dead_letters(self.build).waiting().await?;
        session.queue = DeadLetterQueue::new(letters, |stream| self.contains(stream));
        session.known_dead_letter_changes = changes;
        session.retry = RetryState::Loaded;
        Ok(())
    }

    /// Processes the events of `page`. The failure policy applies to events that fail.
    pub async fn apply_page(
        &mut self,
        session: &mut PartitionSession,
        page: &Page,
    ) -> Result<(), SessionEnd> {
        let events = if self.partition.is_only() {
            Cow::Borrowed(&page.events)
        } else {
            let own = page.events.iter();
            let own = own.filter(|event| self.partition.contains(&event.stream));
            Cow::Owned(own.cloned().collect())
        };
        let span = tracing::debug_span!("project", events = events.len());
        let work = async {
            let mut rest = &events[..];
            loop {
                // A page may have many batches.
                if rest.len() < events.len() && !matches!(self.control.has_changed(), Ok(false)) {
                    return Err(SessionEnd::Restart);
                }
                let applied = self.apply_batch(session, rest, page.through()).await?;
                rest = &rest[applied.events..];
                if let Some(failed) = applied.next_failed {
                    self.handle_failure(session, &rest[0], failed).await?;
                    rest = &rest[1..];
                } else if rest.is_empty() {
                    return Ok(());
                }
            }
        };
        work.instrument(span).await
    }

    /// Processes as many events as fit into one batch.
    async fn apply_batch(
        &mut self,
        session: &mut PartitionSession,
        events: &[RecordedEvent],
        through: Position,
    ) -> Result<Applied, BatchError> {
        let mut applied = Applied {
            events: self.batch_size.next(events),
            next_failed: None,
        };
        while applied.events > 0 || applied.next_failed.is_none() {
            let (now, later) = events.split_at(applied.events);
            let through = match now.last() {
                Some(last) if !later.is_empty() => last.position,
                _ => through,
            };
            let started = Instant::now();
            match self.apply(session, now, through).await {
                // The failed event may be earlier in the batch than the event that failed before: a projection can ignore an
                // error, which the database then reports at the commit.
                Err(BatchError::Event(failed)) => {
                    let index = now
                        .iter()
                        .position(|event| event.position == failed.position);
                    let Some(index) = index else {
                        return Err(BatchError::Event(failed));
                    };
                    applied.events = index;
                    applied.next_failed = Some(failed);
                }
                done => {
                    done?;
                    self.batch_size.record(applied.events, started.elapsed());
                    break;
                }
            }
        }
        Ok(applied)
    }

    /// Processes the `events` that are not blocked, and moves the checkpoint.
    ///
    /// Blocked events go to the dead-letter queue.
    async fn apply(
        &self,
        session: &mut PartitionSession,
        events: &[RecordedEvent],
        through: Position,
    ) -> Result<(), BatchError> {
        if session.queue.is_empty() {
            return self.commit(session, Commit::events(events, through)).await;
        }
        let mut newly_blocked = BlockedKeys::default();
        let (mut letters, mut unblocked) = (Vec::new(), Vec::new());
        for event in events {
            let keys = self.context.consumer.correlation_keys(event);
            let is_blocked = session.queue.blocks(&event.stream, keys.as_deref())
                || newly_blocked.blocks(&event.stream, keys.as_deref());
            if is_blocked {
                let letter = DeadLetter::new(event, keys, DeadLetterState::Blocked);
                newly_blocked.add(&letter);
                letters.push(letter);
            } else {
                unblocked.push(event.clone());
            }
        }
        let commit = Commit {
            letters,
            ..Commit::events(&unblocked, through)
        };
        self.commit(session, commit).await
    }

    /// Carries out the failure policy for an event whose first attempt has failed.
    ///
    /// Retries the event until it succeeds or the policy ends the attempts.
    async fn handle_failure(
        &self,
        session: &mut PartitionSession,
        event: &RecordedEvent,
        mut failed: EventError,
    ) -> Result<(), SessionEnd> {
        let (mut attempt, log) = (1, FailureLog::default());
        loop {
            let waits = self.context.consumer.newer_events() == NewerEvents::Wait;
            if waits && failed.error.is_newer_schema() {
                return Err(SessionEnd::NewerCode(error_chain(&failed)));
            }
            if self.control.has_changed().is_err() {
                // The failure may come from the shutdown, for example of a projection that the code waits for.
                return Err(SessionEnd::Shutdown);
            }
            let state = if failed.error.is_blocked() {
                DeadLetterState::Blocked
            } else {
                let failure = Failure {
                    event,
                    error: &failed.error,
                    attempt,
                };
                let action = self
                    .context
                    .failure_policy
                    .decide(&failure, &self.context.retry);
                crate::metrics::record_consumer_failure(self.context.name());
                let error = error_chain(&failed);
                match action {
                    FailureAction::RetryAfter(pause) => {
                        if log.failed() {
                            warn!(error, attempt, ?pause, "cannot process an event, retrying");
                        }
                        self.pause_before_retry(error, pause).await?;
                        attempt += 1;
                        let event = std::slice::from_ref(event);
                        match self.apply(session, event, event[0].position).await {
                            Err(BatchError::Event(again)) => failed = again,
                            done => return Ok(done?),
                        }
                        continue;
                    }
                    FailureAction::DeadLetter => DeadLetterState::Failed {
                        error,
                        attempts: attempt,
                    },
                    FailureAction::Skip => DeadLetterState::Skipped { error },
                    FailureAction::Stop => {
                        return Err(SessionEnd::Stopped(stop_reason(event, &failed, error)));
                    }
                }
            };
            let keys = self.context.consumer.correlation_keys(event);
            let letter = DeadLetter::new(event, keys, state);
            warn!(
                position = event.position.get(),
                stream = %event.stream,
                state = ?letter.state,
                "event moved to the dead letters"
            );
            let commit = Commit::dead_letter(letter, event.position);
            return Ok(self.commit(session, commit).await?);
        }
    }

    async fn pause_before_retry(
        &self,
        error: String,
        pause: std::time::Duration,
    ) -> Result<(), SessionEnd> {
        self.reporter.set_retrying(error);
        let mut control = self.control.clone();
        tokio::select! {
            _ = control.changed() => Err(SessionEnd::Restart),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Makes one commit.
    pub async fn commit(
        &self,
        session: &mut PartitionSession,
        commit: Commit<'_>,
    ) -> Result<(), BatchError> {
        let added = commit.letters.iter().filter(|letter| letter.is_waiting());
        let removed = commit.resolved.len() + usize::from(commit.replaced.is_some());
        let dead_letters = session.queue.len() + added.count() as u64 - removed as u64;
        // A retried event is older than events that were processed meanwhile.
        let newest = commit.events.last().filter(|_| commit.resolved.is_empty());
        let newest = newest.map(|event| event.recorded_at);
        let next = Checkpoint {
            position: commit.through,
            dead_letters,
            newest: newest.or(session.lease.state().newest),
            stopped: None,
            ..session.lease.state().clone()
        };
        let mut changes = session.lease.renewal_change(&next)?;
        let store = self.context.dead_letters(self.build);
        for letter in &commit.letters {
            let (key, value) = (store.key(letter), encode_document(letter)?);
            changes = match commit.replaced {
                // A user may have discarded it meanwhile.
                Some(before) => changes.put_if(key, before.revision, value),
                None => changes.put(key, value),
            };
        }
        for before in commit.resolved {
            changes = changes.delete_if(store.key(&before.letter), before.revision);
        }
        let batch = Batch {
            build: self.build,
            events: commit.events,
            unknown_dead_letter: session.queue.first_unknown(),
            changes,
            documents: &*self.context.documents,
        };
        let revision = if commit.events.is_empty() {
            batch.commit().await?
        } else {
            let _spans = event_spans(self.context.name(), commit.events);
            let handled = catch_panic(self.context.consumer.handle(batch)).await;
            handled.map_err(BatchError::with_outage)?
        };
        session.lease.record_renewal(next, revision);
        for before in commit.resolved {
            session.queue.remove(before.letter.position);
        }
        for letter in commit.letters {
            session.queue.insert(letter, revision);
        }
        Ok(())
    }

    /// Stores a checkpoint without events.
    pub async fn store_checkpoint(
        &self,
        session: &mut PartitionSession,
        next: Checkpoint,
    ) -> Result<(), BatchError> {
        let changes = session.lease.renewal_change(&next)?;
        let revision = self.context.documents.change_documents(changes).await?;
        session.lease.record_renewal(next, revision);
        Ok(())
    }

    /// Stores the dead letter of an event that failed again.
    pub async fn keep_dead_letter(
        &self,
        session: &mut PartitionSession,
        event: &RecordedEvent,
        before: &StoredDeadLetter,
        failed: &EventError,
    ) -> Result<(), SessionEnd> {
        if failed.error.is_blocked() {
            return Ok(());
        }
        crate::metrics::record_consumer_failure(self.context.name());
        let attempts = match before.letter.state {
            DeadLetterState::Failed { attempts, .. } => attempts,
            _ => 0,
        };
        let state = DeadLetterState::Failed {
            error: error_chain(failed),
            attempts: attempts.saturating_add(1),
        };
        let keys = self.context.consumer.correlation_keys(event);
        let mut letter = DeadLetter::new(event, keys, state);
        letter.since = before.letter.since;
        let commit = Commit {
            replaced: Some(before),
            ..Commit::dead_letter(letter, session.lease.state().position)
        };
        Ok(self.commit(session, commit).await?)
    }
}

/// Creates a span for each event of a batch that has a trace context, which the span continues.
fn event_spans(consumer: &str, events: &[RecordedEvent]) -> Vec<Span> {
    if !span_enabled!(Level::DEBUG) {
        return Vec::new();
    }
    let traced = events.iter().filter_map(|event| {
        let trace_parent = event.metadata.trace_parent.as_deref()?;
        let (name, position) = (&*event.name, event.position.get());
        Some(debug_span!("event", consumer, name, position, trace_parent))
    });
    traced.collect()
}

/// Returns why the consumer stops. An error of its code does not name the event.
fn stop_reason(event: &RecordedEvent, failed: &EventError, error: String) -> String {
    match failed.error {
        ConsumerError::Handler(_) => {
            format!(
                "event {} at position {} failed: {error}",
                event.name, event.position
            )
        }
        _ => error,
    }
}

/// The result of one batch.
struct Applied {
    /// The number of events that were processed.
    events: usize,
    /// The error of the next event, if it cannot be processed.
    next_failed: Option<EventError>,
}
