//! [`WriterCache`]: the writer's copy of the end of the log and of the versions of streams.

use factum_core::position::Position;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use quick_cache::unsync::Cache;
use rusqlite::{Connection, OptionalExtension as _};
use uuid::Uuid;

use crate::error::BackendError;
use crate::stream_state::StreamState;

const CAPACITY: usize = 65_536;

/// The values with which the next append continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    pub head: Position,
    /// The time of the last event.
    pub recorded_at: Timestamp,
    /// The highest key of a stream.
    pub last_stream_key: i64,
    /// The highest event id that starts a run of consecutive ids.
    pub last_id_run: Option<Uuid>,
}

/// The writer's copy of the end of the log and of the versions of streams.
///
/// It is valid as long as the `data_version` of SQLite is the same. That number changes when another connection
/// commits.
pub struct WriterCache {
    pub data_version: Option<i64>,
    pub end: LogEnd,
    pub streams: Cache<StreamId, StreamState>,
}

impl WriterCache {
    /// Creates an empty cache, which must be refreshed before use.
    pub fn new() -> Self {
        Self {
            data_version: None,
            end: LogEnd {
                head: Position::ZERO,
                recorded_at: Timestamp::from_micros(0),
                last_stream_key: 0,
                last_id_run: None,
            },
            streams: Cache::new(CAPACITY),
        }
    }

    /// Sets the end of the log after another connection has committed.
    ///
    /// If the end is the same, the commit contained no events, and the versions of the streams are still valid.
    pub fn refresh(&mut self, data_version: i64, end: LogEnd) {
        if self.data_version.is_none() || self.end != end {
            self.streams.clear();
        }
        (self.data_version, self.end) = (Some(data_version), end);
    }

    pub fn invalidate(&mut self) {
        self.data_version = None;
        self.streams.clear();
    }

    /// Returns the state of `stream`, from the cache or from the file.
    pub fn stream_state(
        &mut self,
        connection: &Connection,
        stream: &StreamId,
    ) -> Result<StreamState, BackendError> {
        if let Some(cached) = self.streams.get(stream) {
            return Ok(*cached);
        }
        let mut statement = connection.prepare_cached(include_str!("sql/load_stream.sql"))?;
        let found: Option<(i64, i64)> = statement
            .query_row([stream.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((key, version)) = found else {
            self.streams.insert(stream.clone(), StreamState::ABSENT);
            return Ok(StreamState::ABSENT);
        };
        let version = u64::try_from(version).map_err(|_| {
            BackendError::corrupt(format!("negative version of stream {stream}: {version}"))
        })?;
        let state = StreamState {
            key: Some(key),
            version,
            last_event: None,
        };
        self.streams.insert(stream.clone(), state);
        Ok(state)
    }
}
