//! [`Known`]: what the writer knows of the file without asking, as long as nobody else writes.

use factum::{Position, StreamId, Timestamp};
use quick_cache::unsync::Cache;

const STREAMS: usize = 65_536;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its integer key; `None`: it does not exist.
    pub(crate) key: Option<i64>,
    pub(crate) version: u64,
}

/// Valid while SQLite's `data_version` is the same: that number changes when another connection commits.
pub(crate) struct Known {
    pub(crate) data_version: Option<i64>,
    pub(crate) head: Position,
    /// When the newest event was recorded.
    pub(crate) recorded_at: Timestamp,
    /// The greatest key of a stream.
    pub(crate) last_key: i64,
    pub(crate) streams: Cache<StreamId, Stream>,
}

/// How the store stands behind a batch.
pub(crate) struct Behind {
    pub(crate) head: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) last_key: i64,
    pub(crate) streams: Vec<(StreamId, Stream)>,
}

impl Known {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            data_version: None,
            head: Position::ZERO,
            recorded_at: Timestamp::from_micros(0),
            last_key: 0,
            streams: Cache::new(STREAMS),
        }
    }

    /// A batch was stored.
    pub(crate) fn take(&mut self, behind: Behind) {
        (self.head, self.last_key, self.recorded_at) =
            (behind.head, behind.last_key, behind.recorded_at);
        for (id, stream) in behind.streams {
            self.streams.insert(id, stream);
        }
    }

    pub(crate) fn forget(&mut self) {
        self.data_version = None;
        self.streams.clear();
    }
}
