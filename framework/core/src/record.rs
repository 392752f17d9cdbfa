//! Events as a store handles them: bytes with an event type, a position and metadata.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::field::{InvalidField, check_count, check_name};
use crate::json::{MAX_JSON_DEPTH, is_too_deep};
use crate::metadata::Metadata;
use crate::personal::PersonalField;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;
use crate::tag::Tag;
use crate::timestamp::Timestamp;

/// The maximum size of the data of one event, in bytes: 16 MiB.
pub const MAX_EVENT_DATA: usize = 16 * 1024 * 1024;
/// The maximum length of an event type, in bytes.
pub const MAX_EVENT_TYPE: usize = 255;
/// The maximum length of a content type, in bytes.
pub const MAX_CONTENT_TYPE: usize = 255;
/// The maximum number of tags of one event.
pub const MAX_TAGS: usize = 1_000;

/// The format of the data of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// The media type `application/json`: one JSON value in UTF-8.
    Json,
    /// Any other media type; the store does not interpret the data.
    Other(Cow<'static, str>),
}

/// The media type of an event whose personal data cannot be decrypted, followed by the reason.
const ENCRYPTED: &str = "application/vnd.factum.encrypted+json; reason=";

impl ContentType {
    /// Returns the media type.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json => "application/json",
            Self::Other(name) => name,
        }
    }

    /// Creates the content type of data that cannot be decrypted, with the reason.
    #[doc(hidden)]
    #[must_use]
    pub fn encrypted(reason: &str) -> Self {
        Self::Other(Cow::Owned(format!("{ENCRYPTED}{reason}")))
    }

    /// Returns the reason why the data cannot be decrypted, or `None` if the data is readable.
    #[doc(hidden)]
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

/// An event that is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The id, unique in the store, by convention a UUIDv7.
    pub id: Uuid,
    /// The event type, for example `account.opened`.
    ///
    /// It has 1 to [`MAX_EVENT_TYPE`] bytes without control characters.
    pub name: Cow<'static, str>,
    /// The version of the event schema, from 1.
    pub schema_version: u32,
    /// The format of `data`: 1 to [`MAX_CONTENT_TYPE`] bytes without control characters.
    pub content_type: ContentType,
    /// The encoded fields of the event, at most [`MAX_EVENT_DATA`] bytes.
    ///
    /// JSON has at most [`MAX_JSON_DEPTH`] levels of nested arrays and objects.
    pub data: Bytes,
    /// The tags, by which a [`Query`](crate::query::Query) finds the event; at most [`MAX_TAGS`].
    pub tags: Vec<Tag>,
    /// The actor, the reason and the correlation of the event.
    pub metadata: Arc<Metadata>,
    /// The fields that contain personal data, with their data subjects.
    ///
    /// A store rejects an event that has any. The store decorator `factum::privacy::PersonalDataStore` encrypts these
    /// fields and clears the list.
    pub personal: Vec<PersonalField>,
}

impl NewEvent {
    /// Returns the approximate size of the event in a store, in bytes.
    ///
    /// It counts towards the size of an append.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_parts(&self.data, &self.tags, &self.metadata)
    }

    /// Checks the limits of all fields except the metadata, which the events of an append share.
    ///
    /// # Errors
    /// Returns [`InvalidField`], which names the first field that violates a rule.
    pub fn check_fields(&self) -> Result<(), InvalidField> {
        check_name("event type", &self.name, MAX_EVENT_TYPE)?;
        check_name("content type", self.content_type.as_str(), MAX_CONTENT_TYPE)?;
        check_count("tags of one event", self.tags.len(), MAX_TAGS)?;
        let field = || format!("data of event {}", self.name).into();
        let bytes = self.data.len();
        if bytes > MAX_EVENT_DATA {
            return Err(InvalidField::TooLarge {
                field: field(),
                bytes,
                limit: MAX_EVENT_DATA,
            });
        }
        if self.content_type.undecryptable_reason().is_some() {
            let rule = "the content type of events that cannot be decrypted is reserved";
            return Err(InvalidField::text("event", &self.name, rule));
        }
        // `ContentType::Other` may hold the name of JSON as well; it is read as `ContentType::Json`.
        if self.content_type.as_str() != ContentType::Json.as_str() {
            return Ok(());
        }
        if is_too_deep(&self.data, MAX_JSON_DEPTH) {
            return Err(InvalidField::TooDeep {
                field: field(),
                limit: MAX_JSON_DEPTH,
            });
        }
        let rule = match std::str::from_utf8(&self.data) {
            Err(_) => "its JSON data must be UTF-8",
            Ok(_) if self.data.contains(&0) => "its JSON data must not contain U+0000",
            Ok(_) => return Ok(()),
        };
        Err(InvalidField::text("event", &self.name, rule))
    }
}

fn size_of_parts(data: &[u8], tags: &[Tag], metadata: &Metadata) -> usize {
    let tags = tags.iter().map(|tag| tag.as_str().len());
    data.len() + tags.sum::<usize>() + metadata.size()
}

/// A stored event; a clone shares the data.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// The position in the store.
    pub position: Position,
    /// The stream of the event.
    pub stream: StreamId,
    /// The version of the stream after the event, which is the number of the event in its stream.
    pub version: Version,
    /// The unique id.
    pub id: Uuid,
    /// The event type, for example `account.opened`.
    pub name: Cow<'static, str>,
    /// The version of the event schema, from 1.
    pub schema_version: u32,
    /// The format of `data`.
    pub content_type: ContentType,
    /// The encoded fields of the event.
    pub data: Bytes,
    /// The tags, by which a [`Query`](crate::query::Query) finds the event.
    pub tags: Vec<Tag>,
    /// The actor, the reason and the correlation of the event.
    pub metadata: Arc<Metadata>,
    /// The time at which the event was stored, by the store's clock.
    ///
    /// It is never earlier than the time of the previous event.
    pub recorded_at: Timestamp,
}

impl RecordedEvent {
    /// Creates the stored form of `event` with the values that the store assigned to it.
    #[must_use]
    pub fn new(event: NewEvent, stream: StreamId, assigned: Assigned) -> Self {
        Self {
            position: assigned.position,
            stream,
            version: assigned.version,
            id: event.id,
            name: event.name,
            schema_version: event.schema_version,
            content_type: event.content_type,
            data: event.data,
            tags: event.tags,
            metadata: event.metadata,
            recorded_at: assigned.recorded_at,
        }
    }

    /// Returns the approximate size of the event in a store, in bytes.
    ///
    /// It counts towards the size of a page.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of_parts(&self.data, &self.tags, &self.metadata)
    }
}

impl From<RecordedEvent> for NewEvent {
    /// Returns the event as it was before a store stored it, to append it to another store.
    fn from(event: RecordedEvent) -> Self {
        Self {
            id: event.id,
            name: event.name,
            schema_version: event.schema_version,
            content_type: event.content_type,
            data: event.data,
            tags: event.tags,
            metadata: event.metadata,
            personal: Vec::new(),
        }
    }
}

impl AsRef<Self> for RecordedEvent {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The values that a store assigns to an event when it stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The position in the store.
    pub position: Position,
    /// The version of the stream after the event.
    pub version: Version,
    /// The time at which the event is stored, by the store's clock.
    pub recorded_at: Timestamp,
}

// Defined here so that `metadata` does not depend on `record`.
impl Metadata {
    /// Derives the metadata of a message that `event` caused.
    ///
    /// The causation id becomes the id of `event`. The correlation id becomes that of `event`, or the id of `event` if
    /// it has none. The tenant and the trace context are inherited from `event` unless they are already set.
    #[must_use]
    pub fn caused_by(mut self, event: &RecordedEvent) -> Self {
        let cause = &event.metadata;
        self.correlation_id = Some(cause.correlation_id.unwrap_or(event.id));
        self.causation_id = Some(event.id);
        self.tenant = self.tenant.or_else(|| cause.tenant.clone());
        self.trace_parent = self.trace_parent.or_else(|| cause.trace_parent.clone());
        self
    }
}
