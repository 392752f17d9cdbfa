//! Appends: the request, the conditions and the result.

use factum_core::append::{
    Append, AppendCondition, AppendEvent, Appended, ExpectedStream, ExpectedVersion, IdempotencyKey,
};
use factum_core::position::{Position, Version};
use prost::Message as _;
use uuid::Uuid;

use crate::event::{id, new_event, new_event_message, stream};
use crate::invalid::InvalidMessage;
use crate::{document, query, time, v1};

/// Converts an append into a message.
#[must_use]
pub fn to_message(append: &Append) -> v1::AppendRequest {
    let streams = append.streams.iter().map(|part| v1::ExpectedStream {
        stream: part.stream.to_string(),
        expected: Some(expected_message(part.expected)),
    });
    let events = append.events.iter().map(|event| v1::NewEvent {
        stream: event.stream as u32,
        ..new_event_message(&event.event)
    });
    v1::AppendRequest {
        streams: streams.collect(),
        events: events.collect(),
        condition: append.condition.as_ref().map(condition_message),
        idempotency_key: append.key.as_ref().map(key_message),
        document_changes: document::changes_message(&append.changes),
        required_events: append.requires.iter().map(ToString::to_string).collect(),
    }
}

/// Converts a message into an append.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn from_message(message: v1::AppendRequest) -> Result<Append, InvalidMessage> {
    let key = match &message.idempotency_key {
        Some(key) => Some(key_of_append(key, &message)?),
        None => None,
    };
    let required = message.required_events.iter().enumerate();
    let required = required.map(|(index, text)| id(&format!("required_events[{index}]"), text));
    let mut append = Append {
        requires: required.collect::<Result<_, _>>()?,
        key,
        condition: message.condition.map(condition).transpose()?,
        changes: document::changes("document_changes", message.document_changes)?,
        ..Append::default()
    };
    for (index, part) in message.streams.into_iter().enumerate() {
        let part = expected_stream(part);
        append
            .streams
            .push(part.map_err(|error| error.within(format!("streams[{index}]")))?);
    }
    append.events.reserve_exact(message.events.len());
    for (index, event) in message.events.into_iter().enumerate() {
        let within = |error: InvalidMessage| error.within(format!("events[{index}]"));
        let stream = event.stream as usize;
        if stream >= append.streams.len() {
            let rule = format!(
                "{stream} is not the index of a stream; the append has {} streams",
                append.streams.len()
            );
            return Err(within(InvalidMessage::new("stream", rule)));
        }
        let event = new_event(event).map_err(within)?;
        append.events.push(AppendEvent { stream, event });
    }
    Ok(append)
}

fn expected_stream(part: v1::ExpectedStream) -> Result<ExpectedStream, InvalidMessage> {
    Ok(ExpectedStream {
        stream: stream("stream", part.stream)?,
        expected: expected("expected", part.expected)?,
    })
}

/// Converts an expected version into a message.
#[must_use]
pub fn expected_message(expected: ExpectedVersion) -> v1::ExpectedVersion {
    use v1::expected_version::Kind;
    let kind = match expected {
        ExpectedVersion::Any => Kind::Any(v1::Unit {}),
        ExpectedVersion::NoStream => Kind::NoStream(v1::Unit {}),
        ExpectedVersion::StreamExists => Kind::StreamExists(v1::Unit {}),
        ExpectedVersion::Exact(version) => Kind::Exact(version.get()),
    };
    v1::ExpectedVersion { kind: Some(kind) }
}

/// Converts a message into an expected version, which is required.
///
/// # Errors
/// Returns [`InvalidMessage`] if it is not set.
pub fn expected(
    field: &str,
    message: Option<v1::ExpectedVersion>,
) -> Result<ExpectedVersion, InvalidMessage> {
    use v1::expected_version::Kind;
    let kind = message.and_then(|message| message.kind);
    match kind.ok_or_else(|| InvalidMessage::missing(field))? {
        Kind::Any(_) => Ok(ExpectedVersion::Any),
        Kind::NoStream(_) => Ok(ExpectedVersion::NoStream),
        Kind::StreamExists(_) => Ok(ExpectedVersion::StreamExists),
        Kind::Exact(version) => Ok(ExpectedVersion::Exact(Version::new(version))),
    }
}

fn condition_message(condition: &AppendCondition) -> v1::AppendCondition {
    v1::AppendCondition {
        query: Some(query::to_message(&condition.query)),
        after: condition.after.get(),
    }
}

fn condition(message: v1::AppendCondition) -> Result<AppendCondition, InvalidMessage> {
    let query = message
        .query
        .ok_or_else(|| InvalidMessage::missing("condition.query"))?;
    let query = query::from_message(Some(query));
    Ok(AppendCondition {
        query: query.map_err(|error| error.within("condition.query"))?,
        after: Position::new(message.after),
    })
}

/// Converts an idempotency key into a message.
#[must_use]
pub fn key_message(key: &IdempotencyKey) -> v1::IdempotencyKey {
    v1::IdempotencyKey {
        key: key.key.clone(),
        fingerprint: key.fingerprint.as_bytes().to_vec().into(),
    }
}

/// Converts a message with a fingerprint into an idempotency key.
///
/// # Errors
/// Returns [`InvalidMessage`] if the fingerprint does not have 16 bytes.
pub fn key(message: &v1::IdempotencyKey) -> Result<IdempotencyKey, InvalidMessage> {
    let fingerprint = Uuid::from_slice(&message.fingerprint).map_err(|_| {
        let rule = format!("expected 16 bytes, got {}", message.fingerprint.len());
        InvalidMessage::new("idempotency_key.fingerprint", rule)
    })?;
    Ok(IdempotencyKey {
        key: message.key.clone(),
        fingerprint,
    })
}

/// Converts the key of `append`; without a fingerprint, the content of the append is hashed.
///
/// Ids of events that the server creates do not belong to the content.
fn key_of_append(
    message: &v1::IdempotencyKey,
    append: &v1::AppendRequest,
) -> Result<IdempotencyKey, InvalidMessage> {
    if !message.fingerprint.is_empty() {
        return key(message);
    }
    let content = v1::AppendRequest {
        idempotency_key: None,
        ..append.clone()
    };
    Ok(IdempotencyKey::new(&*message.key, &content.encode_to_vec()))
}

/// Converts a result into a message.
#[must_use]
pub fn appended_message(appended: &Appended) -> v1::AppendResponse {
    let streams = appended
        .versions
        .iter()
        .map(|(stream, version)| v1::StreamVersion {
            stream: stream.to_string(),
            version: version.get(),
        });
    v1::AppendResponse {
        position: appended.position.get(),
        count: appended.count,
        streams: streams.collect(),
        recorded_at: Some(time::to_message(appended.recorded_at)),
        repeated: appended.repeated,
    }
}

/// Converts a message into a result.
///
/// # Errors
/// Returns [`InvalidMessage`] with the path of the first field that is not valid.
pub fn appended(message: v1::AppendResponse) -> Result<Appended, InvalidMessage> {
    let versions = message.streams.into_iter().map(|part| {
        let version = Version::new(part.version);
        Ok((stream("streams.stream", part.stream)?, version))
    });
    Ok(Appended {
        position: Position::new(message.position),
        count: message.count,
        versions: versions.collect::<Result<_, _>>()?,
        recorded_at: time::from_message("recorded_at", message.recorded_at.as_ref())?,
        repeated: message.repeated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an append of the event types `order` to the streams of the same numbers.
    fn request(order: [u32; 3]) -> v1::AppendRequest {
        let streams = (0..3).map(|number| v1::ExpectedStream {
            stream: format!("lamp-{number}"),
            expected: Some(expected_message(ExpectedVersion::Any)),
        });
        let events = order.map(|stream| v1::NewEvent {
            event_type: format!("lamp.lit {stream}"),
            stream,
            ..v1::NewEvent::default()
        });
        v1::AppendRequest {
            streams: streams.collect(),
            events: events.to_vec(),
            idempotency_key: Some(v1::IdempotencyKey {
                key: "request-7".to_owned(),
                fingerprint: prost::bytes::Bytes::new(),
            }),
            ..v1::AppendRequest::default()
        }
    }

    #[test]
    fn order_of_events_belongs_to_the_content_of_a_key() {
        let key = |order| from_message(request(order)).unwrap().key.unwrap();
        assert_eq!(key([0, 1, 2]), key([0, 1, 2]));
        assert_ne!(key([0, 1, 2]), key([1, 0, 2]));
    }

    #[test]
    fn event_of_an_unknown_stream_names_its_field() {
        let invalid = from_message(request([0, 1, 3])).unwrap_err();
        assert_eq!(
            invalid.to_string(),
            "invalid events[2].stream: 3 is not the index of a stream; the append has 3 streams"
        );
    }
}
