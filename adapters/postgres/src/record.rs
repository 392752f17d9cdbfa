//! Decoding of [`RecordedEvent`]s from [`EventRow`]s.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, RecordedEvent};
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use factum_core::timestamp::Timestamp;

use crate::error::BackendError;
use crate::event_row::EventRow;

/// The ids of the streams of a page.
pub enum PageStreams<'a> {
    /// All events are of one stream.
    One(&'a StreamId),
    /// The ids by the keys of the streams.
    Many(HashMap<i64, StreamId>),
}

impl PageStreams<'_> {
    fn id_of(&self, row: &EventRow<'_>) -> Option<StreamId> {
        match self {
            Self::One(stream) => Some((*stream).clone()),
            Self::Many(streams) => streams.get(&row.stream).cloned(),
        }
    }
}

/// Decodes the events of `rows`; their data shares the memory of `packed`, which holds the rows.
pub fn decode(
    packed: &Bytes,
    rows: &[EventRow<'_>],
    streams: &PageStreams<'_>,
) -> Result<Vec<RecordedEvent>, BackendError> {
    let mut events: Vec<RecordedEvent> = Vec::with_capacity(rows.len());
    // Consecutive events often have the same metadata.
    let mut last: Option<(&[u8], Arc<Metadata>)> = None;
    for row in rows {
        let corrupt = |reason: &dyn Display| {
            BackendError::corrupt(format!("event at position {}: {reason}", row.position))
        };
        let metadata = match &last {
            Some((text, metadata)) if *text == row.metadata => metadata.clone(),
            _ => Arc::new(serde_json::from_slice(row.metadata).map_err(|error| corrupt(&error))?),
        };
        last = Some((row.metadata, metadata.clone()));
        let stream = streams
            .id_of(row)
            .ok_or_else(|| corrupt(&"its stream has no valid id"))?;
        let event = event(packed, row, (stream, metadata));
        events.push(event.map_err(|reason| corrupt(&reason))?);
    }
    Ok(events)
}

/// Decodes one event; the caller adds its position to the error.
fn event(
    packed: &Bytes,
    row: &EventRow<'_>,
    (stream, metadata): (StreamId, Arc<Metadata>),
) -> Result<RecordedEvent, String> {
    let content_type = row.content_type.map(text).transpose()?;
    let data = match content_type {
        None => row.data,
        Some(_) => row.bytes,
    };
    let tags = row.tags.map(tags).transpose()?;
    Ok(RecordedEvent {
        position: Position::new(unsigned(row.position)?),
        stream,
        version: Version::new(unsigned(row.version)?),
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

fn unsigned(number: i64) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("{number} is negative"))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn tags(bytes: &[u8]) -> Result<Vec<Tag>, String> {
    let tags = text(bytes)?.split('\n');
    let tags = tags.map(|tag| tag.to_owned().try_into());
    tags.collect::<Result<_, factum_core::tag::InvalidTag>>()
        .map_err(|error| error.to_string())
}
