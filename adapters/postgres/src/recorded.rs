//! What was packed, as the framework's [`RecordedEvent`]s.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use factum::{ContentType, Metadata, Position, RecordedEvent, StreamId, Tag, Timestamp, Version};

use crate::error::Fault;
use crate::packed::Row;

/// Whose events they are.
pub(crate) enum Streams<'a> {
    One(&'a StreamId),
    Many(HashMap<i64, StreamId>),
}

impl Streams<'_> {
    fn of(&self, row: &Row<'_>) -> Option<StreamId> {
        match self {
            Self::One(stream) => Some((*stream).clone()),
            Self::Many(streams) => streams.get(&row.stream).cloned(),
        }
    }
}

/// The events of `rows`, which are in `packed`. Their data stay there.
pub(crate) fn events(
    packed: &Bytes,
    rows: &[Row<'_>],
    streams: &Streams<'_>,
) -> Result<Vec<RecordedEvent>, Fault> {
    let mut events: Vec<RecordedEvent> = Vec::with_capacity(rows.len());
    // Events that follow each other often share their metadata.
    let mut known: Option<(&[u8], Arc<Metadata>)> = None;
    for row in rows {
        let corrupt = |what: &dyn Display| {
            Fault::corrupt(format!("event at position {}: {what}", row.position))
        };
        let metadata = match &known {
            Some((text, metadata)) if *text == row.metadata => metadata.clone(),
            _ => Arc::new(serde_json::from_slice(row.metadata).map_err(|error| corrupt(&error))?),
        };
        known = Some((row.metadata, metadata.clone()));
        let stream = streams
            .of(row)
            .ok_or_else(|| corrupt(&"a stream without an id"))?;
        let event = event(packed, row, (stream, metadata));
        events.push(event.map_err(|what| corrupt(&what))?);
    }
    Ok(events)
}

/// An error says what is wrong, not where.
fn event(
    packed: &Bytes,
    row: &Row<'_>,
    (stream, metadata): (StreamId, Arc<Metadata>),
) -> Result<RecordedEvent, String> {
    let content_type = row.content_type.map(text).transpose()?;
    let data = match content_type {
        None => row.data,
        Some(_) => row.bytes,
    };
    let tags = row.tags.map(tags).transpose()?;
    Ok(RecordedEvent {
        position: Position::new(place(row.position)?),
        stream,
        version: Version::new(place(row.version)?),
        id: row.id,
        name: Cow::Owned(text(row.name)?.to_owned()),
        schema_version: u32::try_from(row.schema_version).map_err(|error| error.to_string())?,
        content_type: content_type.map_or(ContentType::Json, ContentType::from),
        data: packed.slice_ref(data.ok_or("no data")?),
        tags: tags.unwrap_or_default(),
        metadata,
        recorded_at: Timestamp::from_micros(row.recorded_at),
    })
}

fn place(number: i64) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("{number} is no place"))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn tags(bytes: &[u8]) -> Result<Vec<Tag>, String> {
    let tags = text(bytes)?.split('\n');
    let tags = tags.map(|tag| tag.to_owned().try_into());
    tags.collect::<Result<_, factum::InvalidTag>>()
        .map_err(|error| error.to_string())
}
