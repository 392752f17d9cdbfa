//! [`Inserts`]: rows into each table.

use std::sync::Arc;

use factum::{ContentType, Metadata, NewEvent, StreamId};
use rusqlite::types::Null;
use rusqlite::{CachedStatement, Connection};

use crate::error::Fault;
use crate::find::Answer;

/// The statements that a batch needs, by one of which each row goes out.
pub(crate) struct Inserts<'c> {
    connection: &'c Connection,
    events: CachedStatement<'c>,
    /// The text of the metadata that the events of one append share.
    metadata: Option<(Arc<Metadata>, String)>,
}

/// Where an event goes.
pub(crate) struct Place {
    pub(crate) position: i64,
    pub(crate) stream: i64,
    pub(crate) version: i64,
    pub(crate) recorded_at: i64,
}

impl<'c> Inserts<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            events: connection.prepare_cached(include_str!("sql/insert_event.sql"))?,
            metadata: None,
        })
    }

    /// Another append.
    pub(crate) fn begin(&mut self) {
        self.metadata = None;
    }

    pub(crate) fn stream(&self, key: i64, id: &StreamId) -> Result<(), Fault> {
        let sql = "insert into factum_stream (key, id) values (?, ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute((key, id.as_str()))?;
        Ok(())
    }

    pub(crate) fn key(&self, key: &str, answer: &Answer) -> Result<(), Fault> {
        let Answer {
            fingerprint,
            appended,
        } = answer;
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

    pub(crate) fn event(&mut self, event: &NewEvent, place: &Place) -> Result<(), Fault> {
        let metadata = match &mut self.metadata {
            Some((metadata, text)) if Arc::ptr_eq(metadata, &event.metadata) => text,
            other => {
                let text = serde_json::to_string(&*event.metadata).map_err(Fault::corrupt)?;
                &mut other.insert((event.metadata.clone(), text)).1
            }
        };
        let row = &mut self.events;
        row.raw_bind_parameter(1, place.position)?;
        row.raw_bind_parameter(2, place.stream)?;
        row.raw_bind_parameter(3, place.version)?;
        let mut id = [0; 36];
        row.raw_bind_parameter(4, &*event.id.hyphenated().encode_lower(&mut id))?;
        row.raw_bind_parameter(5, &*event.name)?;
        row.raw_bind_parameter(6, event.schema_version)?;
        match event.content_type.as_str() {
            // By whatever way it was said: that is how it is read.
            json if json == ContentType::Json.as_str() => {
                row.raw_bind_parameter(7, Null)?;
                let text = std::str::from_utf8(&event.data).map_err(Fault::corrupt)?;
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
                let tags = serde_json::to_string(&event.tags).map_err(Fault::corrupt)?;
                row.raw_bind_parameter(10, tags)?;
            }
        }
        row.raw_bind_parameter(11, place.recorded_at)?;
        row.raw_execute()?;
        self.tags(event, place.position)
    }

    fn tags(&self, event: &NewEvent, position: i64) -> Result<(), Fault> {
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
