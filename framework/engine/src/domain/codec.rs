//! Encoding of typed events as records, and decoding of records.
//!
//! A variant is stored as its fields, for example `{"amount":30}` with the event type `account.deposited`. So a variant
//! can be renamed in the code, and the tools of the backend can read the data.

mod field_keys;
mod variant_deserializer;
mod variant_serializer;
mod verify;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;
use factum_core::record::{ContentType, NewEvent, RecordedEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::error::{BoxError, DecodeError, DecodeErrorKind, EncodeError};
use crate::domain::event::{Event, EventType};
use crate::domain::upcast::upcast_event;

use verify::verify;

pub use crate::domain::decoded::Decoded;
pub use variant_deserializer::variant_from_json;
pub use variant_serializer::variant_to_json;
pub use verify::{Compared, ViaNothing, ViaPartialEq};

/// Serializes `value`, an event that is a struct, as JSON.
///
/// # Errors
/// Returns an error if `value` does not serialize or could not be read.
#[doc(hidden)]
pub fn struct_to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    variant_serializer::to_json(value, |value, json| value.serialize(json))
}

/// Deserializes an event that is a struct from its JSON.
///
/// # Errors
/// Returns an error if the JSON does not fit the struct.
#[doc(hidden)]
pub fn struct_from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json)
}

/// Converts `value` to JSON that is stored inside a document.
///
/// It is a command or the state of a process manager.
///
/// # Errors
/// Returns an error if `value` does not serialize, or could not be read back.
#[doc(hidden)]
pub fn stored_value<T: Serialize + DeserializeOwned>(
    value: &T,
) -> Result<serde_json::Value, serde_json::Error> {
    let json = factum_core::json::to_value(value)?;
    match T::deserialize(&json) {
        Ok(_) => Ok(json),
        Err(error) => Err(serde::ser::Error::custom(format!(
            "it would be stored, but could not be read: {error}; \
             make `Deserialize` accept the output of `Serialize`"
        ))),
    }
}

/// Returns the JSON keys of the fields of `event`, in order, or `None` for a skipped field.
///
/// # Errors
/// Returns an error if `event` does not serialize as named fields.
#[doc(hidden)]
pub fn keys<T: Serialize>(event: &T) -> Result<Vec<Option<&'static str>>, serde_json::Error> {
    // An enum serializes as a variant, a struct as a struct.
    event
        .serialize(variant_serializer::VariantFields(field_keys::FieldKeys))
        .or_else(|_| event.serialize(field_keys::FieldKeys))
}

/// Encodes `event` with a new id, and checks that it can be read back.
///
/// # Errors
/// Returns [`EncodeError`] if the event does not serialize, could not be read, or a tag is not valid.
#[doc(hidden)]
pub fn encode<E: Event>(event: &E, metadata: &Arc<Metadata>) -> Result<NewEvent, EncodeError> {
    let mut encoder = Encoder {
        ids: EventIdGenerator::now(),
        metadata: metadata.clone(),
        verification: Verification::Full,
    };
    encoder.encode(event)
}

/// The checks of an encoded event before it is stored.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Its numbers are finite, and its JSON is not nested too deeply.
    Cheap,
    /// It also decodes, and equals the original if its type implements `PartialEq`.
    Full,
}

/// Encodes the events of one command.
#[doc(hidden)]
#[derive(Debug)]
pub struct Encoder {
    /// The source of event ids.
    pub ids: EventIdGenerator,
    /// The metadata of all events.
    pub metadata: Arc<Metadata>,
    /// The checks of the encoded events.
    pub verification: Verification,
}

impl Encoder {
    /// Encodes `event` with a new id.
    ///
    /// # Errors
    /// Returns [`EncodeError`] if the event does not serialize, could not be read, or a tag is not valid.
    pub fn encode<E: Event>(&mut self, event: &E) -> Result<NewEvent, EncodeError> {
        let event_type = event.event_type();
        let failed = |source: BoxError| EncodeError {
            name: event_type.name,
            source,
        };
        let encoded = NewEvent {
            id: self.ids.next_id(),
            name: Cow::Borrowed(event_type.name),
            schema_version: event_type.version,
            content_type: ContentType::Json,
            data: Bytes::from(event.to_json().map_err(|error| failed(error.into()))?),
            tags: event.tags().map_err(|error| failed(error.into()))?,
            metadata: self.metadata.clone(),
            personal: event.personal().map_err(|error| failed(error.into()))?,
        };
        if self.verification == Verification::Full {
            verify(event, &encoded).map_err(|error| failed(error.into()))?;
        }
        Ok(encoded)
    }
}

/// Decodes the only current event that `record` represents.
///
/// # Errors
/// Returns [`DecodeError`] if the record cannot be decoded, or does not represent exactly one event.
#[doc(hidden)]
pub fn decode<E: Event>(record: &RecordedEvent) -> Result<E, DecodeError> {
    let mut events = decode_all(record)?;
    let count = events.len();
    match events.next() {
        Some(event) if count == 1 => Ok(event),
        _ => Err(DecodeError::new(
            record,
            DecodeErrorKind::NotExactlyOne { count },
        )),
    }
}

/// Decodes the current events that `record` represents.
///
/// # Errors
/// Returns [`DecodeError`] if the record cannot be decoded.
#[doc(hidden)]
pub fn decode_all<E: Event>(record: &RecordedEvent) -> Result<Decoded<E>, DecodeError> {
    try_decode(record).map_err(|kind| DecodeError::new(record, kind))
}

/// Decodes the current events that `record` represents; the error has only the cause.
pub(crate) fn try_decode<E: Event>(record: &RecordedEvent) -> Result<Decoded<E>, DecodeErrorKind> {
    let name = &*record.name;
    if let Some(reason) = record.content_type.undecryptable_reason()
        && !E::RETIRED.contains(&name)
    {
        return Err(DecodeErrorKind::Encrypted(reason.to_owned()));
    }
    let index = E::TYPES.iter().position(|kind| kind.is_stored_as(name));
    let is_legacy = index.is_none_or(|index| record.schema_version < E::TYPES[index].version);
    if is_legacy
        && let Some(legacy) = E::LEGACY
            .iter()
            .find(|legacy| (legacy.accepts)(name, record.schema_version))
    {
        return (legacy.decode)(record);
    }
    match index {
        Some(index) => decode_as::<E>(index, &E::TYPES[index], record).map(Decoded::one),
        None if E::RETIRED.contains(&name) => Ok(Decoded::none()),
        None => Err(DecodeErrorKind::UnknownName),
    }
}

fn decode_as<E: Event>(
    index: usize,
    event_type: &EventType,
    record: &RecordedEvent,
) -> Result<E, DecodeErrorKind> {
    if record.content_type != ContentType::Json {
        return Err(DecodeErrorKind::ContentType(record.content_type.clone()));
    }
    if record.schema_version > event_type.version {
        return Err(DecodeErrorKind::NewerVersion {
            stored: record.schema_version,
            known: event_type.version,
        });
    }
    if record.schema_version == event_type.version {
        return E::from_json(index, &record.data).map_err(DecodeErrorKind::Json);
    }
    let stored = serde_json::from_slice(&record.data).map_err(DecodeErrorKind::Json)?;
    let current =
        upcast_event(event_type.upcasters, record, stored).map_err(DecodeErrorKind::Upcast)?;
    let current = serde_json::to_vec(&current).map_err(DecodeErrorKind::Json)?;
    E::from_json(index, &current).map_err(DecodeErrorKind::Json)
}
