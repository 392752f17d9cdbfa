//! [`Settlement`]: the changes of a partition since its last write, and the changes that are being written.
//!
//! Answers are collected and written in batches. A consumer gets the confirmation after the write.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::partition_state::PartitionState;
use super::window::{DeadLetterDraft, SessionId, Window};

/// The maximum number of dead letters of a partition.
pub const MAX_DEAD_LETTERS: u32 = 1_000;

/// An answer of a consumer that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The session of the consumer.
    pub session: SessionId,
    /// The fencing token of the delivery.
    pub fence: u64,
    /// The position of the event.
    pub position: u64,
}

/// The next state of a partition, and its new dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionWrite {
    /// The partition.
    pub partition: u16,
    /// The state.
    pub state: PartitionState,
    /// The new dead letters, whose documents belong to the same change.
    pub dead_letters: Vec<DeadLetterDraft>,
}

/// Changes of a partition.
#[derive(Debug, Default)]
struct Changes {
    answers: Vec<Answer>,
    dead_letters: Vec<DeadLetterDraft>,
}

#[derive(Debug)]
struct Writing {
    changes: Changes,
    retries: BTreeSet<u64>,
    position: u64,
    number: u64,
}

/// The changes of a partition since its last write, and the changes that are being written.
#[derive(Debug)]
pub struct Settlement {
    pending: Changes,
    writing: Option<Writing>,
    /// Set if anything but the position has changed.
    is_changed: bool,
    /// The position that is stored.
    position: u64,
    /// The number of dead letters that are stored.
    dead_letters: u32,
    writes: u64,
}

impl Settlement {
    /// Creates the settlement of a partition with this stored state.
    pub fn new(stored: &PartitionState) -> Self {
        Self {
            pending: Changes::default(),
            writing: None,
            is_changed: false,
            position: stored.position,
            dead_letters: stored.dead_letters,
            writes: stored.writes,
        }
    }

    /// Adds an answer, which the consumer gets confirmed after the write.
    pub fn answer(&mut self, answer: Answer) {
        self.pending.answers.push(answer);
        self.is_changed = true;
    }

    /// Adds a dead letter.
    pub fn dead_letter(&mut self, draft: DeadLetterDraft) {
        self.pending.dead_letters.push(draft);
        self.is_changed = true;
    }

    /// Records that attempts or the fencing token have changed.
    pub fn touch(&mut self) {
        self.is_changed = true;
    }

    /// Returns the number of dead letters, stored or not.
    pub fn dead_letters(&self) -> u32 {
        let writing = self.writing.as_ref();
        let writing = writing.map_or(0, |writing| writing.changes.dead_letters.len());
        self.dead_letters + (self.pending.dead_letters.len() + writing) as u32
    }

    /// Returns whether answers, dead letters or attempts have to be written.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Returns whether there are changes that are not stored, also if they are being written.
    pub fn is_unwritten(&self) -> bool {
        self.is_changed || self.writing.is_some()
    }

    /// Returns whether the position has moved since the last write.
    pub fn has_moved(&self, checkpoint: u64) -> bool {
        self.position != checkpoint
    }

    /// Begins a write, and returns the state to write.
    pub fn begin<E: Clone>(
        &mut self,
        window: &Window<E>,
        fence: u64,
        holder: Uuid,
    ) -> (PartitionState, Vec<DeadLetterDraft>) {
        let mut state = PartitionState {
            dead_letters: self.dead_letters(),
            fence,
            writes: self.writes + 1,
            holder: Some(holder),
            ..PartitionState::default()
        };
        window.save(&mut state);
        let changes = std::mem::take(&mut self.pending);
        let dead_letters = changes.dead_letters.clone();
        self.is_changed = false;
        self.writing = Some(Writing {
            changes,
            retries: window.settled_retries().clone(),
            position: state.position,
            number: state.writes,
        });
        (state, dead_letters)
    }

    /// Records that the write was made, and returns the answers to confirm.
    pub fn committed<E: Clone>(&mut self, window: &mut Window<E>) -> Vec<Answer> {
        let Some(writing) = self.writing.take() else {
            return Vec::new();
        };
        window.retries_written(&writing.retries);
        self.position = writing.position;
        self.writes = writing.number;
        self.dead_letters += writing.changes.dead_letters.len() as u32;
        writing.changes.answers
    }

    /// Continues with the state that is stored, after a request or an unknown outcome. Returns the answers to confirm.
    pub fn reloaded<E: Clone>(
        &mut self,
        window: &mut Window<E>,
        stored: &PartitionState,
    ) -> Vec<Answer> {
        let is_written = self
            .writing
            .as_ref()
            .is_some_and(|writing| writing.number == stored.writes);
        let confirmed = match is_written {
            true => self.committed(window),
            false => {
                self.restore();
                Vec::new()
            }
        };
        self.dead_letters = stored.dead_letters;
        self.writes = stored.writes;
        window.set_retries(&stored.retries);
        confirmed
    }

    /// Makes the changes of a failed write pending again.
    pub fn restore(&mut self) {
        if let Some(writing) = self.writing.take() {
            let later = std::mem::replace(&mut self.pending, writing.changes);
            self.pending.answers.extend(later.answers);
            self.pending.dead_letters.extend(later.dead_letters);
            self.is_changed = true;
        }
    }

    /// Returns the answers that will never be written, because the lease is lost.
    pub fn lost(mut self) -> Vec<Answer> {
        self.restore();
        self.pending.answers
    }
}
