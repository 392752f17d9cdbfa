//! [`Stream`]: where a stream stands.

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its integer key; `None`: it does not exist.
    pub(crate) key: Option<i64>,
    pub(crate) version: u64,
}

impl Stream {
    pub(crate) const NONE: Self = Self {
        key: None,
        version: 0,
    };
}
