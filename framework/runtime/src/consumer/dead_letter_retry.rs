//! [`DeadLetterRetrier`]: retries the dead letters of a partition, in small batches.
//!
//! Between two batches the worker processes new events, so that other streams continue.

use std::time::Instant;

use factum_engine::error::StoreError;

use super::batch::BatchError;
use super::batch_applier::{BatchApplier, Commit};
use super::batch_size::TARGET;
use super::context::ConsumerContext;
use super::control::Control;
use super::events_at::events_at;
use super::lease::Checkpoint;
use super::partition_reporter::PartitionReporter;
use super::retry_progress::{RetryBatch, RetryProgress};
use super::session::{PartitionSession, RetryState, SessionEnd};

/// Retries the dead letters of a partition.
pub struct DeadLetterRetrier<'w> {
    /// Applies the events.
    pub applier: &'w BatchApplier,
    /// The context of the consumer.
    pub context: &'w ConsumerContext,
    /// Reports the number of dead letters.
    pub reporter: &'w PartitionReporter,
}

impl DeadLetterRetrier<'_> {
    /// Starts or continues a retry of dead letters.
    ///
    /// A retry starts if one was requested, or if a stream is no longer blocked. A retry in progress continues for a
    /// short time.
    pub async fn run(
        &self,
        session: &mut PartitionSession,
        control: &Control,
    ) -> Result<(), SessionEnd> {
        let carried_out = match &session.retry {
            RetryState::Running(retry) => retry.request(),
            RetryState::Idle | RetryState::Loaded => session.lease.state().retries,
        };
        if control.retries > carried_out
            || control.dead_letter_changes > session.known_dead_letter_changes
        {
            self.applier.load_queue(session).await?;
        }
        let retry = match std::mem::replace(&mut session.retry, RetryState::Idle) {
            RetryState::Idle => return Ok(()),
            RetryState::Running(retry) => retry,
            RetryState::Loaded => {
                let all = control.retries > session.lease.state().retries;
                let streams = (!all).then(|| session.queue.streams_to_retry());
                RetryProgress::new(control.retries, streams)
            }
        };
        session.retry = self.continue_retry(session, retry).await?;
        let dead_letters = session.queue.len();
        self.reporter
            .update(|status| status.dead_letters = dead_letters);
        Ok(())
    }

    async fn continue_retry(
        &self,
        session: &mut PartitionSession,
        mut retry: RetryProgress,
    ) -> Result<RetryState, SessionEnd> {
        let started = Instant::now();
        while started.elapsed() < TARGET {
            let Some(batch) = retry.next_batch(&session.queue) else {
                let known = session.lease.state();
                let carried_out = Checkpoint {
                    retries: retry.request(),
                    dead_letters: session.queue.len(),
                    ..known.clone()
                };
                if carried_out != *known {
                    self.applier.store_checkpoint(session, carried_out).await?;
                }
                return Ok(RetryState::Idle);
            };
            self.retry_batch(session, &mut retry, batch).await?;
        }
        Ok(RetryState::Running(retry))
    }

    /// Retries `batch` in one commit.
    ///
    /// If one of its events fails, the events before it are retried without it. Then the failed event is retried alone.
    async fn retry_batch(
        &self,
        session: &mut PartitionSession,
        retry: &mut RetryProgress,
        batch: RetryBatch,
    ) -> Result<(), SessionEnd> {
        let started = Instant::now();
        let positions: Vec<_> = batch.letters.iter().map(|it| it.letter.position).collect();
        let events = events_at(&*self.context.store, &positions).await?;
        if let Some((missing, _)) = positions.iter().zip(&events).find(|(_, it)| it.is_none()) {
            let missing = format!("no event at position {missing}; a dead letter refers to it");
            return Err(StoreError::Corrupt(missing).into());
        }
        let events: Vec<_> = events.into_iter().flatten().collect();
        let commit = Commit {
            resolved: &batch.letters,
            ..Commit::events(&events, session.lease.state().position)
        };
        let committed = match events.is_empty() {
            true => Ok(()),
            false => self.applier.commit(session, commit).await,
        };
        let failed = match committed {
            Ok(()) => {
                retry.succeeded(batch, started.elapsed());
                return Ok(());
            }
            Err(BatchError::Event(failed)) => failed,
            Err(error) => return Err(error.into()),
        };
        let Some(index) = positions.iter().position(|at| *at == failed.position) else {
            return Err(BatchError::Event(failed).into());
        };
        if let ([letter], [event]) = (&batch.letters[..], &events[..]) {
            let kept = self
                .applier
                .keep_dead_letter(session, event, letter, &failed);
            kept.await?;
            retry.failed_again(batch);
        } else {
            retry.split_at(index);
        }
        Ok(())
    }
}
