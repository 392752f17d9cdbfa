//! [`KeyQueue`]: the unsettled events of one partition key, of which one at a time is delivered.

use std::collections::BTreeSet;

/// The positions of the unsettled events of a key.
#[derive(Debug, Default)]
pub struct KeyQueue {
    positions: BTreeSet<u64>,
    /// The event that is ready, in flight, or backing off. The others wait.
    active: Option<u64>,
}

impl KeyQueue {
    /// Adds an event.
    pub fn add(&mut self, position: u64) {
        self.positions.insert(position);
    }

    /// Removes a settled event, and returns whether the queue is empty.
    pub fn remove(&mut self, position: u64) -> bool {
        self.positions.remove(&position);
        self.active = self.active.filter(|active| *active != position);
        self.positions.is_empty()
    }

    /// Returns the first event.
    pub fn first(&self) -> Option<u64> {
        self.positions.first().copied()
    }

    /// Returns the event that does not wait.
    pub fn active(&self) -> Option<u64> {
        self.active
    }

    /// Sets the event that does not wait.
    pub fn activate(&mut self, position: u64) {
        self.active = Some(position);
    }
}
