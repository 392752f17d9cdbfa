//! [`StreamState`]: the stored key and the version of a stream.

use uuid::Uuid;

/// The stored key and the version of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// The integer key, or `None` if the stream does not exist.
    pub key: Option<i64>,
    pub version: u64,
    /// The id of the last event, if this process has stored it.
    pub last_event: Option<Uuid>,
}

impl StreamState {
    /// The state of a stream that does not exist.
    pub const ABSENT: Self = Self {
        key: None,
        version: 0,
        last_event: None,
    };
}
