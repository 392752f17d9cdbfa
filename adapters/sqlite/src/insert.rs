//! [`Inserts`]: the statements that insert the rows of a batch.

use std::sync::Arc;

use factum_core::metadata::Metadata;
use factum_core::record::{ContentType, NewEvent};
use factum_core::stream_id::StreamId;
use rusqlite::types::Null;
use rusqlite::{CachedStatement, Connection};

use crate::error::BackendError;
use crate::idempotency_key::FirstResult;

/// The statements that insert the rows of a batch, one row at a time.
pub struct Inserts<'c> {
    connection: &'c Connection,
    event: CachedStatement<'c>,
    /// The encoded metadata of the last event, which the events of one append share.
    metadata: Option<(Arc<Metadata>, String)>,
}

/// The columns of an event that the store assigns.
pub struct EventPlace {
    pub position: i64,
    pub stream: i64,
    pub version: i64,
    pub recorded_at: i64,
    /// Whether the id of the event is not the next one after that of the previous event of the append.
    pub starts_id_run: bool,
}

impl<'c> Inserts<'c> {
    pub fn new(connection: &'c Connection) -> Result<Self, BackendError> {
        Ok(Self {
            connection,
            event: connection.prepare_cached(include_str!("sql/insert_event.sql"))?,
            metadata: None,
        })
    }

    /// Begins the next append, whose events have other metadata.
    pub fn begin_append(&mut self) {
        self.metadata = None;
    }

    pub fn insert_stream(&self, key: i64, id: &StreamId) -> Result<(), BackendError> {
        let sql = "insert into factum_stream (key, id) values (?, ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute((key, id.as_str()))?;
        Ok(())
    }

    pub fn insert_key(&self, key: &str, first: &FirstResult) -> Result<(), BackendError> {
        let FirstResult {
            fingerprint,
            appended,
        } = first;
        let mut statement = self
            .connection
            .prepare_cached(include_str!("sql/insert_key.sql"))?;
        statement.execute((
            key,
            fingerprint.as_bytes().as_slice(),
            appended.position.get() as i64,
            appended.count as i64,
            appended.recorded_at.as_micros(),
        ))?;
        Ok(())
    }

    pub fn insert_event(
        &mut self,
        event: &NewEvent,
        place: &EventPlace,
    ) -> Result<(), BackendError> {
        let metadata = match &mut self.metadata {
            Some((metadata, text)) if Arc::ptr_eq(metadata, &event.metadata) => text,
            other => {
                let text =
                    serde_json::to_string(&*event.metadata).map_err(BackendError::corrupt)?;
                &mut other.insert((event.metadata.clone(), text)).1
            }
        };
        let row = &mut self.event;
        row.raw_bind_parameter(1, place.position)?;
        row.raw_bind_parameter(2, place.stream)?;
        row.raw_bind_parameter(3, place.version)?;
        row.raw_bind_parameter(4, event.id.as_bytes().as_slice())?;
        row.raw_bind_parameter(5, &*event.name)?;
        row.raw_bind_parameter(6, event.schema_version)?;
        match event.content_type.as_str() {
            // `ContentType::Other` may hold the name of JSON as well; it is read as `ContentType::Json`.
            json if json == ContentType::Json.as_str() => {
                row.raw_bind_parameter(7, Null)?;
                let text = std::str::from_utf8(&event.data).map_err(BackendError::corrupt)?;
                row.raw_bind_parameter(8, text)?;
            }
            other => {
                row.raw_bind_parameter(7, other)?;
                row.raw_bind_parameter(8, &*event.data)?;
            }
        }
        row.raw_bind_parameter(9, metadata.as_str())?;
        match event.tags.is_empty() {
            true => row.raw_bind_parameter(10, Null)?,
            false => {
                let tags = serde_json::to_string(&event.tags).map_err(BackendError::corrupt)?;
                row.raw_bind_parameter(10, tags)?;
            }
        }
        row.raw_bind_parameter(11, place.recorded_at)?;
        row.raw_bind_parameter(12, place.starts_id_run)?;
        row.raw_execute()?;
        self.insert_tags(event, place.position)
    }

    fn insert_tags(&self, event: &NewEvent, position: i64) -> Result<(), BackendError> {
        if event.tags.is_empty() {
            return Ok(());
        }
        let sql = "insert or ignore into factum_tag (position, tag) values (?, ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        for tag in &event.tags {
            statement.execute((position, tag.as_str()))?;
        }
        Ok(())
    }
}
