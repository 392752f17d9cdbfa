//! Between typed events and stored records.
//!
//! A variant is stored as its fields alone (`{"amount":30}` under the name `account.deposited`), so that
//! a variant can be renamed in the code and the data stays readable with the backend's own tools.

mod decoded;
mod keys;
mod read;
mod write;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::event::{Event, EventType};
use crate::record::{ContentType, NewEvent, RecordedEvent};
use crate::upcast::upcast;
use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;

pub use decoded::Decoded;
pub use read::variant_from_json;
pub use write::variant_to_json;

/// The JSON of `value`, an event that is a struct.
///
/// # Errors
/// What its `Serialize` says.
pub fn struct_to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    write::written(|json| value.serialize(json))
}

/// An event that is a struct, from its JSON.
///
/// # Errors
/// What its `Deserialize` says.
pub fn struct_from_json<T: serde::de::DeserializeOwned>(
    json: &[u8],
) -> Result<T, serde_json::Error> {
    serde_json::from_slice(json)
}

/// The keys under which the fields of `event` are written; `None` for one that is not written now.
///
/// # Errors
/// If it is not written as named fields.
pub fn keys<T: serde::Serialize>(
    event: &T,
) -> Result<Vec<Option<&'static str>>, serde_json::Error> {
    // An enum arrives as a variant, a struct as itself.
    event
        .serialize(write::Fields(keys::Keys))
        .or_else(|_| event.serialize(keys::Keys))
}

/// The stored form of `event`, with a new id.
pub fn encode<E: Event>(event: &E, metadata: &Arc<Metadata>) -> Result<NewEvent, EncodeError> {
    let (ids, metadata) = (EventIdGenerator::now(), metadata.clone());
    Encoder { ids, metadata }.encode(event)
}

/// Gives the events of one command their stored form.
#[derive(Debug)]
pub struct Encoder {
    pub ids: EventIdGenerator,
    pub metadata: Arc<Metadata>,
}

impl Encoder {
    /// The stored form of `event`, with a new id.
    pub fn encode<E: Event>(&mut self, event: &E) -> Result<NewEvent, EncodeError> {
        let event_type = event.event_type();
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| EncodeError {
            name: event_type.name,
            source,
        };
        Ok(NewEvent {
            id: self.ids.next_id(),
            name: Cow::Borrowed(event_type.name),
            schema_version: event_type.version,
            content_type: ContentType::Json,
            data: Bytes::from(event.to_json().map_err(|error| fault(error.into()))?),
            tags: event.tags().map_err(|error| fault(error.into()))?,
            metadata: self.metadata.clone(),
            personal: event.personal().map_err(|error| fault(error.into()))?,
        })
    }
}

/// The one event that `record` stands for today.
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

/// The events that `record` stands for today.
pub fn decode_all<E: Event>(record: &RecordedEvent) -> Result<Decoded<E>, DecodeError> {
    forms(record).map_err(|fault| DecodeError::new(record, fault))
}

pub fn forms<E: Event>(record: &RecordedEvent) -> Result<Decoded<E>, DecodeErrorKind> {
    let name = &*record.name;
    if let Some(why) = record.content_type.undecryptable_reason()
        && !E::RETIRED.contains(&name)
    {
        return Err(DecodeErrorKind::Encrypted(why.to_owned()));
    }
    let index = E::TYPES.iter().position(|kind| kind.is_stored_as(name));
    let is_old = index.is_none_or(|index| record.schema_version < E::TYPES[index].version);
    if is_old
        && let Some(legacy) = E::LEGACY
            .iter()
            .find(|legacy| (legacy.takes)(name, record.schema_version))
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
    let old = serde_json::from_slice(&record.data).map_err(DecodeErrorKind::Json)?;
    let new = upcast(event_type.upcasters, record.schema_version, old)
        .map_err(DecodeErrorKind::Upcast)?;
    let new = serde_json::to_vec(&new).map_err(DecodeErrorKind::Json)?;
    E::from_json(index, &new).map_err(DecodeErrorKind::Json)
}
