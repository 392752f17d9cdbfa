//! [`StreamState`]: the stored key and the version of a stream.

/// The stored key and the version of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// The integer key, or `None` if the stream does not exist.
    pub key: Option<i64>,
    pub version: u64,
}

impl StreamState {
    /// The state of a stream that does not exist.
    pub const ABSENT: Self = Self {
        key: None,
        version: 0,
    };
}
