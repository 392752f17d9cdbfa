//! [`RecordDecoder`]: decoding of [`RecordedEvent`]s from rows.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, RecordedEvent};
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use factum_core::timestamp::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use uuid::Uuid;

use crate::error::BackendError;
use crate::event_types::EventTypes;

/// The columns of an event `e`, in the order that [`RecordDecoder`] expects.
pub const COLUMNS: &str = "e.position, e.stream, e.version, e.id, e.name, e.schema_version, \
     e.content_type, e.data, e.metadata, e.tags, e.recorded_at";
/// The maximum size of an allocation that several events share, in bytes.
const MAX_CHUNK: usize = 16 * 1024;

/// A decoder for the rows of one page; values that rows share are decoded once.
pub struct RecordDecoder<'c> {
    connection: &'c Connection,
    /// The stream of all events, if it is known.
    only: Option<StreamId>,
    streams: HashMap<i64, StreamId>,
    /// The metadata of the last event.
    metadata: Option<(String, Arc<Metadata>)>,
    /// The tags of the last event that has some.
    tags: Option<(String, Vec<Tag>)>,
    event_types: EventTypes,
    /// The chunk of memory that the data of the next events shares.
    data: BytesMut,
    next_chunk_size: usize,
}

impl<'c> RecordDecoder<'c> {
    pub fn new(connection: &'c Connection, only: Option<StreamId>) -> Self {
        Self {
            connection,
            only,
            streams: HashMap::new(),
            metadata: None,
            tags: None,
            event_types: EventTypes::default(),
            data: BytesMut::new(),
            next_chunk_size: MAX_CHUNK / 16,
        }
    }

    pub fn decode(&mut self, row: &Row<'_>) -> Result<RecordedEvent, BackendError> {
        let position: i64 = row.get(0)?;
        self.record(position, row).map_err(|error| match error {
            RowError::Value(reason) => {
                BackendError::corrupt(format!("event at position {position}: {reason}"))
            }
            RowError::Backend(error) => error,
        })
    }

    fn record(&mut self, position: i64, row: &Row<'_>) -> Result<RecordedEvent, RowError> {
        let content_type = match value(row, 6)? {
            ValueRef::Null => ContentType::Json,
            name => ContentType::from(text(name, "content_type")?),
        };
        let schema_version = integer(value(row, 5)?, "schema_version")?;
        Ok(RecordedEvent {
            position: Position::new(unsigned(position, "position")?),
            stream: self.stream(value(row, 1)?)?,
            version: Version::new(unsigned(integer(value(row, 2)?, "version")?, "version")?),
            id: uuid(value(row, 3)?, "id")?,
            name: self.event_types.get(text(value(row, 4)?, "name")?),
            schema_version: u32::try_from(schema_version)
                .map_err(|_| format!("schema_version out of range: {schema_version}"))?,
            data: self.data(data(value(row, 7)?, &content_type)?),
            content_type,
            metadata: self.metadata(text(value(row, 8)?, "metadata")?)?,
            tags: self.tags(value(row, 9)?)?,
            recorded_at: Timestamp::from_micros(integer(value(row, 10)?, "recorded_at")?),
        })
    }

    /// Copies `bytes` into a chunk that few events share.
    ///
    /// Keeping one event then does not keep the memory of a whole page.
    fn data(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > MAX_CHUNK / 4 {
            return Bytes::copy_from_slice(bytes);
        }
        if self.data.capacity() < bytes.len() {
            self.data = BytesMut::with_capacity(self.next_chunk_size);
            self.next_chunk_size = (2 * self.next_chunk_size).min(MAX_CHUNK);
        }
        self.data.extend_from_slice(bytes);
        self.data.split().freeze()
    }

    fn stream(&mut self, key: ValueRef<'_>) -> Result<StreamId, RowError> {
        if let Some(only) = &self.only {
            return Ok(only.clone());
        }
        let key = integer(key, "stream")?;
        if let Some(stream) = self.streams.get(&key) {
            return Ok(stream.clone());
        }
        let sql = "select id from factum_stream where key = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([key])?;
        let id = match rows.next()? {
            Some(row) => text(value(row, 0)?, "stream")?.parse(),
            // An event without its stream is an error. A join would skip the event.
            None => return Err(wrong_type(ValueRef::Null, "text", "stream").into()),
        };
        let stream: StreamId = id.map_err(|error| format!("stream: {error}"))?;
        self.streams.insert(key, stream.clone());
        Ok(stream)
    }

    fn metadata(&mut self, json: &str) -> Result<Arc<Metadata>, String> {
        if let Some((text, metadata)) = &self.metadata
            && *text == json
        {
            return Ok(metadata.clone());
        }
        let metadata: Metadata =
            serde_json::from_str(json).map_err(|error| format!("metadata: {error}"))?;
        let metadata = Arc::new(metadata);
        self.metadata = Some((json.to_owned(), metadata.clone()));
        Ok(metadata)
    }

    fn tags(&mut self, value: ValueRef<'_>) -> Result<Vec<Tag>, String> {
        if value == ValueRef::Null {
            return Ok(Vec::new());
        }
        let json = text(value, "tags")?;
        if let Some((text, tags)) = &self.tags
            && *text == json
        {
            return Ok(tags.clone());
        }
        let tags: Vec<Tag> =
            serde_json::from_str(json).map_err(|error| format!("tags: {error}"))?;
        self.tags = Some((json.to_owned(), tags.clone()));
        Ok(tags)
    }
}

/// The reason why a row cannot be decoded.
enum RowError {
    /// A column has an invalid value.
    Value(String),
    /// Reading the file failed.
    Backend(BackendError),
}

impl From<String> for RowError {
    fn from(reason: String) -> Self {
        Self::Value(reason)
    }
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Backend(error.into())
    }
}

fn value<'r>(row: &'r Row<'_>, column: usize) -> Result<ValueRef<'r>, RowError> {
    Ok(row.get_ref(column)?)
}

fn text<'r>(value: ValueRef<'r>, column: &str) -> Result<&'r str, String> {
    match value {
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map_err(|error| format!("{column}: {error}"))
        }
        other => Err(wrong_type(other, "text", column)),
    }
}

fn integer(value: ValueRef<'_>, column: &str) -> Result<i64, String> {
    match value {
        ValueRef::Integer(integer) => Ok(integer),
        other => Err(wrong_type(other, "an integer", column)),
    }
}

pub fn uuid(value: ValueRef<'_>, column: &str) -> Result<Uuid, String> {
    match value {
        ValueRef::Blob(bytes) => {
            Uuid::from_slice(bytes).map_err(|error| format!("{column}: {error}"))
        }
        other => Err(wrong_type(other, "a blob", column)),
    }
}

fn unsigned(integer: i64, column: &str) -> Result<u64, String> {
    u64::try_from(integer).map_err(|_| format!("negative {column}: {integer}"))
}

fn wrong_type(value: ValueRef<'_>, expected: &str, column: &str) -> String {
    let found = value.data_type().to_string().to_lowercase();
    format!("invalid type: {found}; column {column} must be {expected}")
}

fn data<'r>(value: ValueRef<'r>, content_type: &ContentType) -> Result<&'r [u8], String> {
    match (content_type, value) {
        (ContentType::Json, value) => text(value, "data").map(str::as_bytes),
        (_, ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => Ok(bytes),
        (_, other) => Err(wrong_type(other, "bytes", "data")),
    }
}
