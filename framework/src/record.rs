//! Events as stores see them: bytes with a name, a place and metadata.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::codec::{self, Decoded};
use crate::error::DecodeError;
use crate::event::Event;
use crate::event_set::has_name;
use crate::metadata::Metadata;
use crate::personal::PersonalField;
use crate::position::{Position, Version};
use crate::stream::StreamId;
use crate::tag::Tag;
use crate::timestamp::Timestamp;

/// The largest data of one event, in bytes: 16 MiB.
pub const MAX_EVENT_DATA: usize = 16 * 1024 * 1024;

/// How an event's data is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// `application/json`: one JSON value in UTF-8.
    Json,
    /// Any other media type; the data are bytes without a meaning to the store.
    Other(Cow<'static, str>),
}

impl ContentType {
    /// The media type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Other(name) => name,
        }
    }
}

/// Of an event whose personal data cannot be opened; why stands behind it.
const SEALED: &str = "application/vnd.factum.sealed+json; why=";

impl ContentType {
    /// Of data that stay sealed.
    #[cfg(feature = "personal")]
    pub(crate) fn sealed(why: &str) -> Self {
        Self::Other(Cow::Owned(format!("{SEALED}{why}")))
    }

    /// Why the data stay sealed, if they do.
    pub(crate) fn why_sealed(&self) -> Option<&str> {
        self.as_str().strip_prefix(SEALED)
    }
}

impl From<&str> for ContentType {
    fn from(name: &str) -> Self {
        match name {
            "application/json" => Self::Json,
            other => Self::Other(Cow::Owned(other.to_owned())),
        }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event on its way into a store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Unique; a UUIDv7 by custom.
    pub id: Uuid,
    /// The stored name, e.g. `account.opened`.
    pub name: Cow<'static, str>,
    /// The version of the stored form, from 1.
    pub schema_version: u32,
    /// How `data` is written.
    pub content_type: ContentType,
    /// The fields, at most [`MAX_EVENT_DATA`] bytes.
    pub data: Bytes,
    /// What the event concerns besides its stream.
    pub tags: Vec<Tag>,
    /// Who, why, in what connection.
    pub metadata: Arc<Metadata>,
    /// Which fields are personal data, and whose. A store takes none: what makes them unreadable is a
    /// [`PersonalDataStore`](crate::personal) around it.
    pub personal: Vec<PersonalField>,
}

/// An event as a store keeps it. Cloning copies no payload.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its place in the store.
    pub position: Position,
    /// The stream that holds it.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Unique.
    pub id: Uuid,
    /// The stored name, e.g. `account.opened`.
    pub name: Cow<'static, str>,
    /// The version of the stored form, from 1.
    pub schema_version: u32,
    /// How `data` is written.
    pub content_type: ContentType,
    /// The fields.
    pub data: Bytes,
    /// What the event concerns besides its stream.
    pub tags: Vec<Tag>,
    /// Who, why, in what connection.
    pub metadata: Arc<Metadata>,
    /// When the store took it, by the store's clock; never before the event ahead of it.
    pub recorded_at: Timestamp,
}

impl RecordedEvent {
    /// What becomes of `event` at this place.
    #[must_use]
    pub fn new(event: NewEvent, stream: StreamId, place: Place) -> Self {
        Self {
            position: place.position,
            stream,
            version: place.version,
            id: event.id,
            name: event.name,
            schema_version: event.schema_version,
            content_type: event.content_type,
            data: event.data,
            tags: event.tags,
            metadata: event.metadata,
            recorded_at: place.recorded_at,
        }
    }

    /// Whether it is stored under a name that events of this type have, or had, be it retired.
    #[must_use]
    pub fn is_a<E: Event>(&self) -> bool {
        has_name::<E>(&self.name) || E::RETIRED.contains(&&*self.name)
    }

    /// The events that it stands for today: one; several, if it was split since; none, if it was retired.
    ///
    /// # Errors
    /// [`DecodeError`] says which event cannot be read, where it stands and why.
    pub fn decode_all<E: Event>(&self) -> Result<Decoded<E>, DecodeError> {
        codec::decode_all(self)
    }

    /// The typed event, brought up to today's form.
    ///
    /// # Errors
    /// [`DecodeError`] says which event cannot be read, where it stands and why; one that was split or retired is not
    /// one event.
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        codec::decode(self)
    }
}

impl AsRef<Self> for RecordedEvent {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<E> AsRef<RecordedEvent> for Recorded<E> {
    fn as_ref(&self) -> &RecordedEvent {
        &self.record
    }
}

/// Where and when a store puts an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its place in the store.
    pub position: Position,
    /// Its place in its stream.
    pub version: Version,
    /// When the store took it.
    pub recorded_at: Timestamp,
}

/// A typed event together with its record; reads like the event.
#[derive(Debug, Clone)]
pub struct Recorded<E> {
    /// The event.
    pub event: E,
    /// Where it stands, who caused it, when.
    pub record: RecordedEvent,
}

impl<E> Deref for Recorded<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}

impl<E: Event> TryFrom<RecordedEvent> for Recorded<E> {
    type Error = DecodeError;

    fn try_from(record: RecordedEvent) -> Result<Self, DecodeError> {
        Ok(Self {
            event: record.decode()?,
            record,
        })
    }
}
