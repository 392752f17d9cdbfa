//! [`Known`]: what the writer knows of the file without asking, as long as nobody else appends.

use factum::{Position, StreamId, Timestamp};
use quick_cache::unsync::Cache;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::Fault;

const STREAMS: usize = 65_536;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its integer key; `None`: it does not exist.
    pub(crate) key: Option<i64>,
    pub(crate) version: u64,
}

/// How far the file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) head: Position,
    /// When the newest event was recorded.
    pub(crate) recorded_at: Timestamp,
    /// The greatest key of a stream.
    pub(crate) last_key: i64,
}

/// Valid while SQLite's `data_version` is the same: that number changes when another connection commits.
pub(crate) struct Known {
    pub(crate) data_version: Option<i64>,
    pub(crate) end: End,
    pub(crate) streams: Cache<StreamId, Stream>,
}

impl Known {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            data_version: None,
            end: End {
                head: Position::ZERO,
                recorded_at: Timestamp::from_micros(0),
                last_key: 0,
            },
            streams: Cache::new(STREAMS),
        }
    }

    /// Others have written, and left the file at `end`. Every append moves the head, so if that stands where it
    /// stood, what they wrote were no events.
    pub(crate) fn others_wrote(&mut self, data_version: i64, end: End) {
        if self.data_version.is_none() || self.end != end {
            self.streams.clear();
        }
        (self.data_version, self.end) = (Some(data_version), end);
    }

    pub(crate) fn forget(&mut self) {
        self.data_version = None;
        self.streams.clear();
    }

    /// Where `stream` stands.
    pub(crate) fn stream(
        &mut self,
        connection: &Connection,
        stream: &StreamId,
    ) -> Result<Stream, Fault> {
        if let Some(known) = self.streams.get(stream) {
            return Ok(*known);
        }
        let mut statement = connection.prepare_cached(include_str!("sql/stream.sql"))?;
        let found: Option<(i64, i64)> = statement
            .query_row([stream.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((key, version)) = found else {
            return Ok(Stream {
                key: None,
                version: 0,
            });
        };
        let version = u64::try_from(version)
            .map_err(|_| Fault::corrupt(format!("stream {stream} is at version {version}")))?;
        let found = Stream {
            key: Some(key),
            version,
        };
        self.streams.insert(stream.clone(), found);
        Ok(found)
    }
}
