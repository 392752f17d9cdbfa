//! [`Recorded`]: a typed event with its record; [`DecodeEvent`]: decoding of records.

use std::ops::Deref;

use serde::Serialize;

use crate::domain::codec;
use crate::domain::decoded::Decoded;
use crate::domain::error::DecodeError;
use crate::domain::event::{Event, has_name};

pub use factum_core::record::{Assigned, ContentType, MAX_EVENT_DATA, NewEvent, RecordedEvent};

/// Decodes a [`RecordedEvent`] into typed events.
pub trait DecodeEvent {
    /// Returns whether the event type belongs to `E`, as a current, aliased, legacy or retired type.
    fn is_a<E: Event>(&self) -> bool;

    /// Returns the current events that the record represents.
    ///
    /// That is one event; several if the event was split since; none if it was retired.
    ///
    /// # Errors
    /// Returns [`DecodeError`] with the event, its position and the cause.
    fn decode_all<E: Event>(&self) -> Result<Decoded<E>, DecodeError>;

    /// Returns the event in its current schema version.
    ///
    /// # Errors
    /// Returns [`DecodeError`] with the event, its position and the cause. An event that was split or retired does not
    /// decode to exactly one event.
    fn decode<E: Event>(&self) -> Result<E, DecodeError>;
}

impl DecodeEvent for RecordedEvent {
    fn is_a<E: Event>(&self) -> bool {
        has_name::<E>(&self.name) || E::RETIRED.contains(&&*self.name)
    }

    fn decode_all<E: Event>(&self) -> Result<Decoded<E>, DecodeError> {
        codec::decode_all(self)
    }

    fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        codec::decode(self)
    }
}

/// A typed event with its record. It dereferences to the event, and serializes as both.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded<E> {
    /// The event.
    pub event: E,
    /// The record: position, stream, version, time and metadata.
    pub record: RecordedEvent,
}

impl<E> AsRef<RecordedEvent> for Recorded<E> {
    fn as_ref(&self) -> &RecordedEvent {
        &self.record
    }
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
