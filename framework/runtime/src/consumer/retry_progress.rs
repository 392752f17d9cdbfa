//! [`RetryProgress`]: the progress of a retry of dead letters, in small batches.

use std::collections::HashSet;
use std::time::Duration;

use factum_core::position::Position;
use factum_core::stream_id::StreamId;

use super::batch_size::TARGET;
use super::dead_letter::StoredDeadLetter;
use super::dead_letter_queue::{BlockedKeys, DeadLetterQueue};

/// The largest number of dead letters in one batch.
const MAX_BATCH: usize = 512;

/// The progress of a retry.
///
/// Dead letters are retried in the order of the log. Each stream is retried until one of its events fails.
pub struct RetryProgress {
    /// The number of the request that it carries out.
    request: u64,
    /// The streams to retry; `None` for all.
    streams: Option<HashSet<StreamId>>,
    /// The position up to which dead letters were tried.
    position: Position,
    /// The streams and correlation keys of dead letters that failed again.
    blocked: BlockedKeys,
    batch_size: usize,
}

/// The dead letters of one batch.
pub struct RetryBatch {
    /// The dead letters to retry.
    pub letters: Vec<StoredDeadLetter>,
    /// The keys of dead letters that are not in the batch, because they are still blocked.
    passed: BlockedKeys,
    through: Position,
}

impl RetryProgress {
    /// Starts a retry of these streams, or of all.
    pub fn new(request: u64, streams: Option<HashSet<StreamId>>) -> Self {
        Self {
            request,
            streams,
            position: Position::ZERO,
            blocked: BlockedKeys::default(),
            batch_size: 1,
        }
    }

    /// Returns the number of the request that the retry carries out.
    pub fn request(&self) -> u64 {
        self.request
    }

    /// Returns the next batch; `None` if nothing is left to retry.
    pub fn next_batch(&self, queue: &DeadLetterQueue) -> Option<RetryBatch> {
        let mut batch = RetryBatch {
            letters: Vec::new(),
            passed: BlockedKeys::default(),
            through: self.position,
        };
        if self.streams.as_ref().is_some_and(HashSet::is_empty) {
            return None;
        }
        for next in queue.after(self.position) {
            if batch.letters.len() == self.batch_size {
                break;
            }
            let (stream, keys) = (&next.letter.stream, next.letter.correlation_keys());
            let is_blocked = self.blocked.blocks(stream, keys) || batch.passed.blocks(stream, keys);
            let streams = self.streams.as_ref();
            if is_blocked || streams.is_some_and(|streams| !streams.contains(stream)) {
                batch.passed.add(&next.letter);
            } else {
                batch.letters.push(next.clone());
            }
            batch.through = next.letter.position;
        }
        (batch.through > self.position).then_some(batch)
    }

    /// Records that every event of `batch` was processed.
    pub fn succeeded(&mut self, batch: RetryBatch, time: Duration) {
        self.blocked.extend(batch.passed);
        self.position = batch.through;
        self.batch_size = match time {
            time if time < TARGET / 2 => (self.batch_size * 2).min(MAX_BATCH),
            time if time > TARGET => (self.batch_size / 2).max(1),
            _ => self.batch_size,
        };
    }

    /// Records that the only dead letter of `batch` failed again.
    pub fn failed_again(&mut self, batch: RetryBatch) {
        self.blocked.extend(batch.passed);
        for stored in &batch.letters {
            self.blocked.add(&stored.letter);
        }
        self.position = batch.through;
        self.batch_size = 1;
    }

    /// Continues with smaller batches, since the dead letter at this index failed.
    pub fn split_at(&mut self, index: usize) {
        self.batch_size = index.max(1);
    }
}
