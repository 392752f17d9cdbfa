//! Events as stores see them: bytes with a name, a place and metadata.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::metadata::Metadata;
use crate::personal::PersonalField;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;
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

/// The media type of an event whose personal data cannot be decrypted, before the reason.
const ENCRYPTED: &str = "application/vnd.factum.encrypted+json; reason=";

impl ContentType {
    /// Creates the content type of data that cannot be decrypted, for this reason.
    #[must_use]
    pub fn encrypted(reason: &str) -> Self {
        Self::Other(Cow::Owned(format!("{ENCRYPTED}{reason}")))
    }

    /// Returns the reason why the data cannot be decrypted, if they cannot.
    #[must_use]
    pub fn undecryptable_reason(&self) -> Option<&str> {
        self.as_str().strip_prefix(ENCRYPTED)
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
}

impl AsRef<Self> for RecordedEvent {
    fn as_ref(&self) -> &Self {
        self
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
