//! Events as they come out of the file, row by row.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use factum::{ContentType, Metadata, Position, RecordedEvent, StreamId, Tag, Timestamp, Version};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::Fault;
use crate::names::Names;

/// The columns of an event `e`, in the order in which [`Records`] takes them.
pub(crate) const COLUMNS: &str = "e.position, e.stream, e.version, e.id, e.name, e.schema_version, \
     e.content_type, e.data, e.metadata, e.tags, e.recorded_at";
pub(crate) const DATA: usize = 7;
/// Bytes of data that are allocated together at most.
const CHUNK: usize = 16 * 1024;

/// Makes records of rows. What rows share is read once.
pub(crate) struct Records<'c> {
    connection: &'c Connection,
    /// The one stream that all of the events are of.
    only: Option<StreamId>,
    streams: HashMap<i64, StreamId>,
    metadata: Option<(String, Arc<Metadata>)>,
    names: Names,
    data: BytesMut,
    /// The size of the next one.
    chunk: usize,
}

impl<'c> Records<'c> {
    pub(crate) fn new(connection: &'c Connection, only: Option<StreamId>) -> Self {
        Self {
            connection,
            only,
            streams: HashMap::new(),
            metadata: None,
            names: Names::default(),
            data: BytesMut::new(),
            chunk: CHUNK / 16,
        }
    }

    pub(crate) fn take(&mut self, row: &Row<'_>) -> Result<RecordedEvent, Fault> {
        let position: i64 = row.get(0)?;
        self.record(position, row).map_err(|error| match error {
            Unreadable::Value(what) => {
                Fault::corrupt(format!("event at position {position}: {what}"))
            }
            Unreadable::File(fault) => fault,
        })
    }

    fn record(&mut self, position: i64, row: &Row<'_>) -> Result<RecordedEvent, Unreadable> {
        let content_type = match value(row, 6)? {
            ValueRef::Null => ContentType::Json,
            name => ContentType::from(text(name, "content_type")?),
        };
        let schema_version = integer(value(row, 5)?, "schema_version")?;
        Ok(RecordedEvent {
            position: Position::new(number(position, "position")?),
            stream: self.stream(value(row, 1)?)?,
            version: Version::new(number(integer(value(row, 2)?, "version")?, "version")?),
            id: text(value(row, 3)?, "id")?
                .parse()
                .map_err(|error| format!("id: {error}"))?,
            name: self.names.get(text(value(row, 4)?, "name")?),
            schema_version: u32::try_from(schema_version)
                .map_err(|_| format!("schema_version: {schema_version}"))?,
            data: self.data(data(value(row, DATA)?, &content_type)?),
            content_type,
            metadata: self.metadata(text(value(row, 8)?, "metadata")?)?,
            tags: tags(value(row, 9)?)?,
            recorded_at: Timestamp::from_micros(integer(value(row, 10)?, "recorded_at")?),
        })
    }

    /// Neighbours share memory, but not so much that one who keeps an event keeps a whole page.
    fn data(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > CHUNK / 4 {
            return Bytes::copy_from_slice(bytes);
        }
        if self.data.capacity() < bytes.len() {
            self.data = BytesMut::with_capacity(self.chunk);
            self.chunk = (2 * self.chunk).min(CHUNK);
        }
        self.data.extend_from_slice(bytes);
        self.data.split().freeze()
    }

    fn stream(&mut self, key: ValueRef<'_>) -> Result<StreamId, Unreadable> {
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
            // An event whose stream is missing is an error, not an event less.
            None => return Err(wrong(ValueRef::Null, "a text", "stream").into()),
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
}

/// Why a row is no record.
enum Unreadable {
    Value(String),
    File(Fault),
}

impl From<String> for Unreadable {
    fn from(what: String) -> Self {
        Self::Value(what)
    }
}

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error.into())
    }
}

fn value<'r>(row: &'r Row<'_>, column: usize) -> Result<ValueRef<'r>, Unreadable> {
    Ok(row.get_ref(column)?)
}

fn text<'r>(value: ValueRef<'r>, column: &str) -> Result<&'r str, String> {
    match value {
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map_err(|error| format!("{column}: {error}"))
        }
        other => Err(wrong(other, "a text", column)),
    }
}

fn integer(value: ValueRef<'_>, column: &str) -> Result<i64, String> {
    match value {
        ValueRef::Integer(integer) => Ok(integer),
        other => Err(wrong(other, "an integer", column)),
    }
}

fn number(integer: i64, column: &str) -> Result<u64, String> {
    u64::try_from(integer).map_err(|_| format!("{column}: {integer}"))
}

fn wrong(value: ValueRef<'_>, expected: &str, column: &str) -> String {
    let found = value.data_type().to_string().to_lowercase();
    format!("invalid type: {found}, expected {expected}: {column}")
}

fn data<'r>(value: ValueRef<'r>, content_type: &ContentType) -> Result<&'r [u8], String> {
    match (content_type, value) {
        (ContentType::Json, value) => text(value, "data").map(str::as_bytes),
        (_, ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => Ok(bytes),
        (_, other) => Err(wrong(other, "bytes", "data")),
    }
}

fn tags(value: ValueRef<'_>) -> Result<Vec<Tag>, String> {
    match value {
        ValueRef::Null => Ok(Vec::new()),
        json => serde_json::from_str(text(json, "tags")?).map_err(|error| format!("tags: {error}")),
    }
}
