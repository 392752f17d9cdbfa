//! Events and their metadata.

use std::borrow::Cow;
use std::sync::Arc;

use factum_core::event_id::new_event_id;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::{ContentType, NewEvent, RecordedEvent};
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use uuid::Uuid;

use crate::invalid::InvalidMessage;
use crate::{time, v1};

/// Converts a stored event into a message.
#[must_use]
pub fn to_message(event: &RecordedEvent) -> v1::Event {
    v1::Event {
        position: event.position.get(),
        stream: event.stream.to_string(),
        version: event.version.get(),
        id: event.id.to_string(),
        event_type: event.name.to_string(),
        schema_version: event.schema_version,
        content_type: content_type_field(&event.content_type).to_owned(),
        data: event.data.clone(),
        tags: event.tags.iter().map(ToString::to_string).collect(),
        metadata: metadata_message(&event.metadata),
        recorded_at: Some(time::to_message(event.recorded_at)),
    }
}

/// Converts a message into a stored event.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn from_message(event: v1::Event) -> Result<RecordedEvent, InvalidMessage> {
    Ok(RecordedEvent {
        position: Position::new(event.position),
        stream: stream("stream", event.stream)?,
        version: Version::new(event.version),
        id: id("id", &event.id)?,
        name: Cow::Owned(event.event_type),
        schema_version: event.schema_version,
        content_type: content_type(&event.content_type),
        data: event.data,
        tags: tags(event.tags)?,
        metadata: Arc::new(metadata(event.metadata)?),
        recorded_at: time::from_message("recorded_at", event.recorded_at.as_ref())?,
    })
}

/// Converts a new event into a message, for the first stream of an append.
#[must_use]
pub fn new_event_message(event: &NewEvent) -> v1::NewEvent {
    v1::NewEvent {
        id: event.id.to_string(),
        event_type: event.name.to_string(),
        schema_version: event.schema_version,
        content_type: content_type_field(&event.content_type).to_owned(),
        data: event.data.clone(),
        tags: event.tags.iter().map(ToString::to_string).collect(),
        metadata: metadata_message(&event.metadata),
        stream: 0,
    }
}

/// Converts a message into a new event. An event without an id gets one.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn new_event(event: v1::NewEvent) -> Result<NewEvent, InvalidMessage> {
    Ok(NewEvent {
        id: match &*event.id {
            "" => new_event_id(),
            text => id("id", text)?,
        },
        name: Cow::Owned(event.event_type),
        schema_version: event.schema_version.max(1),
        content_type: content_type(&event.content_type),
        data: event.data,
        tags: tags(event.tags)?,
        metadata: Arc::new(metadata(event.metadata)?),
        personal: Vec::new(),
    })
}

/// Returns the field of a content type; it is empty for JSON.
#[must_use]
pub fn content_type_field(content_type: &ContentType) -> &str {
    match content_type {
        ContentType::Json => "",
        other => other.as_str(),
    }
}

fn content_type(field: &str) -> ContentType {
    match field {
        "" => ContentType::Json,
        other => ContentType::from(other),
    }
}

/// Converts metadata into a message; empty metadata has none.
#[must_use]
pub fn metadata_message(metadata: &Metadata) -> Option<v1::Metadata> {
    if *metadata == Metadata::default() {
        return None;
    }
    let extra = match metadata.extra.is_empty() {
        true => Vec::new(),
        // A map with text keys always has a JSON form.
        false => serde_json::to_vec(&metadata.extra).unwrap_or_default(),
    };
    Some(v1::Metadata {
        actor: metadata.actor.clone(),
        reason: metadata.reason.clone(),
        correlation_id: metadata.correlation_id.map(|id| id.to_string()),
        causation_id: metadata.causation_id.map(|id| id.to_string()),
        tenant: metadata.tenant.clone(),
        trace_parent: metadata.trace_parent.clone(),
        extra: extra.into(),
        foreign: metadata.foreign.clone(),
    })
}

fn metadata(message: Option<v1::Metadata>) -> Result<Metadata, InvalidMessage> {
    let mut metadata = Metadata::default();
    let Some(message) = message else {
        return Ok(metadata);
    };
    let optional_id = |field, text: Option<String>| text.map(|text| id(field, &text)).transpose();
    metadata.actor = message.actor;
    metadata.reason = message.reason;
    metadata.correlation_id = optional_id("metadata.correlation_id", message.correlation_id)?;
    metadata.causation_id = optional_id("metadata.causation_id", message.causation_id)?;
    metadata.tenant = message.tenant;
    metadata.trace_parent = message.trace_parent;
    metadata.foreign = message.foreign;
    if !message.extra.is_empty() {
        let extra = serde_json::from_slice(&message.extra);
        let rule = |error| format!("expected a JSON object: {error}");
        metadata.extra =
            extra.map_err(|error| InvalidMessage::new("metadata.extra", rule(error)))?;
    }
    Ok(metadata)
}

/// Converts a text into the name of a stream.
pub(crate) fn stream(field: &str, text: String) -> Result<StreamId, InvalidMessage> {
    StreamId::try_from(text).map_err(|error| InvalidMessage::new(field, error.rule))
}

/// Converts texts into tags.
pub(crate) fn tags(texts: Vec<String>) -> Result<Vec<Tag>, InvalidMessage> {
    let tags = texts.into_iter().enumerate().map(|(index, text)| {
        Tag::try_from(text)
            .map_err(|error| InvalidMessage::new(format!("tags[{index}]"), error.rule))
    });
    tags.collect()
}

/// Converts a text into a UUID.
pub(crate) fn id(field: &str, text: &str) -> Result<Uuid, InvalidMessage> {
    Uuid::try_parse(text).map_err(|error| InvalidMessage::new(field, error))
}
