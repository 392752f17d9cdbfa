//! [`PartitionState`]: the document of a partition, with its lease.

use std::collections::{BTreeMap, BTreeSet};

use factum::Position;
use factum_runtime::lease::LeaseState;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The document of a partition: its lease and its progress.
///
/// Only the server process that holds the lease writes it. The exceptions are requests that retry or discard dead letters;
/// the holder then reads it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionState {
    /// The position up to which every event is settled.
    pub position: u64,
    /// The positions of settled events after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<u64>,
    /// The attempts of unsettled events.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<u64, Attempts>,
    /// The positions of retried dead letters that are not settled.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub retries: BTreeSet<u64>,
    /// The number of dead letters.
    pub dead_letters: u32,
    /// The fencing token of the last assignment to a consumer.
    pub fence: u64,
    /// The number of writes by holders. By it, a holder finds out whether a write was made whose answer was lost.
    pub writes: u64,
    /// The server process that holds the lease.
    pub holder: Option<Uuid>,
}

/// The unsuccessful deliveries of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempts {
    /// The number of failed attempts.
    pub failed: u32,
    /// The number of consumers that were lost while they had the event.
    pub interrupted: u32,
}

impl LeaseState for PartitionState {
    fn starting_after(start: Position) -> Self {
        Self {
            position: start.get(),
            ..Self::default()
        }
    }

    fn holder(&self) -> Option<Uuid> {
        self.holder
    }

    fn held_by(self, holder: Option<Uuid>) -> Self {
        Self { holder, ..self }
    }
}
