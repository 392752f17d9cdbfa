//! Events as they come out of the file: a page in one JSON text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use factum::{ContentType, Metadata, Position, RecordedEvent, StreamId, Tag, Timestamp, Version};
use serde::Deserialize;

use crate::error::Fault;

/// One event: the columns in the order of the statement that packs them.
#[derive(Deserialize)]
struct Packed<'a> {
    position: u64,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    schema_version: u32,
    #[serde(borrow)]
    content_type: Option<Cow<'a, str>>,
    /// Text where it is JSON, else hexadecimal digits.
    data: String,
    #[serde(borrow)]
    metadata: Cow<'a, str>,
    #[serde(borrow)]
    tags: Option<Cow<'a, str>>,
    recorded_at: i64,
}

/// What neighbours in a page share, so that it is read once.
#[derive(Default)]
struct Shared<'a> {
    streams: HashMap<Cow<'a, str>, StreamId>,
    metadata: Option<(Cow<'a, str>, Arc<Metadata>)>,
}

/// The error does not say which event it is about.
pub(crate) fn unpack(json: &str) -> Result<Vec<RecordedEvent>, Fault> {
    let packed: Vec<Packed<'_>> = serde_json::from_str(json).map_err(Fault::corrupt)?;
    let mut shared = Shared::default();
    packed
        .into_iter()
        .map(|event| recorded(event, &mut shared).map_err(Fault::corrupt))
        .collect()
}

fn recorded<'a>(event: Packed<'a>, shared: &mut Shared<'a>) -> Result<RecordedEvent, String> {
    Ok(RecordedEvent {
        position: Position::new(event.position),
        version: Version::new(event.version),
        id: event
            .id
            .parse()
            .map_err(|error| format!("id {:?}: {error}", event.id))?,
        schema_version: event.schema_version,
        data: match event.content_type {
            None => Bytes::from(event.data),
            Some(_) => bytes_of(&event.data)?,
        },
        content_type: match event.content_type {
            None => ContentType::Json,
            Some(name) => ContentType::from(&*name),
        },
        tags: tags(event.tags.as_deref())?,
        metadata: shared.metadata(event.metadata)?,
        recorded_at: Timestamp::from_micros(event.recorded_at),
        stream: shared.stream(event.stream)?,
        name: Cow::Owned(event.name.into_owned()),
    })
}

fn tags(json: Option<&str>) -> Result<Vec<Tag>, String> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    serde_json::from_str(json).map_err(|error| format!("tags: {error}"))
}

fn bytes_of(hexadecimal: &str) -> Result<Bytes, String> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = hexadecimal.as_bytes().chunks(2).map(byte).collect();
    bytes.map(Bytes::from).ok_or_else(|| "data".to_owned())
}

impl<'a> Shared<'a> {
    fn stream(&mut self, id: Cow<'a, str>) -> Result<StreamId, String> {
        if let Some(stream) = self.streams.get(&id) {
            return Ok(stream.clone());
        }
        let stream: StreamId = id.parse().map_err(|error| format!("stream: {error}"))?;
        self.streams.insert(id, stream.clone());
        Ok(stream)
    }

    fn metadata(&mut self, json: Cow<'a, str>) -> Result<Arc<Metadata>, String> {
        if let Some((text, metadata)) = &self.metadata
            && *text == json
        {
            return Ok(metadata.clone());
        }
        let metadata: Metadata =
            serde_json::from_str(&json).map_err(|error| format!("metadata: {error}"))?;
        let metadata = Arc::new(metadata);
        self.metadata = Some((json, metadata.clone()));
        Ok(metadata)
    }
}
