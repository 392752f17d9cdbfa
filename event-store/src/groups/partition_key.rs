//! [`PartitionKey`]: the key of an event within a group, and the partition of a key.

use std::sync::Arc;

use factum::store::RecordedEvent;
use serde::{Deserialize, Serialize};

/// The key of an event within a group. The events of a key keep their order and share a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionKey {
    /// The stream.
    #[default]
    Stream,
    /// The correlation id; the stream if the event has none.
    CorrelationId,
    /// The first tag with this key; the stream if the event has none.
    Tag(String),
    /// Every event is a key of its own.
    None,
}

impl PartitionKey {
    /// Returns the key of `event`; `None` if the events have no order.
    pub fn of(&self, event: &RecordedEvent) -> Option<Arc<str>> {
        let special = match self {
            Self::None => return None,
            Self::Stream => None,
            Self::CorrelationId => event
                .metadata
                .correlation_id
                .map(|id| format!("correlation {id}")),
            Self::Tag(key) => {
                let mut tags = event.tags.iter().map(factum::store::Tag::as_str);
                let tag = tags.find(|tag| {
                    let value = tag.strip_prefix(key.as_str());
                    value.is_some_and(|value| value.starts_with(':'))
                });
                tag.map(|tag| format!("tag {tag}"))
            }
        };
        let key = special.unwrap_or_else(|| format!("stream {}", event.stream));
        Some(key.into())
    }
}

/// Returns the partition of an event, from its key or else from its position.
pub fn partition_of(key: Option<&str>, position: u64, partitions: u16) -> u16 {
    let partitions = u64::from(partitions.max(1));
    let number = match key {
        Some(key) => hash(key),
        None => position,
    };
    (number % partitions) as u16
}

/// Returns the FNV-1a hash of `text`, which is the same in every process and version.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
pub fn hash(text: &str) -> u64 {
    let offset_basis = 0xcbf2_9ce4_8422_2325;
    let mixed = text.bytes().fold(offset_basis, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits alone depend on too few input bits.
    mixed ^ (mixed >> 32)
}
