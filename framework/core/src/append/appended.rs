//! [`Appended`]: the result of an append.

use crate::position::{Position, Version};
use crate::stream_id::StreamId;
use crate::timestamp::Timestamp;

/// The result of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position of the last event; the head of the store if the append has no events.
    pub position: Position,
    /// The number of stored events; they occupy the positions up to `position` without a gap.
    pub count: u64,
    /// The new versions of the streams that received events, in the order of their first events.
    pub versions: Vec<(StreamId, Version)>,
    /// The time at which the events were stored, by the store's clock.
    pub recorded_at: Timestamp,
    /// Set if this is the first result of the same idempotency key; nothing was stored this time.
    pub repeated: bool,
}
