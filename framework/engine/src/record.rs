//! [`Recorded`]: a typed event together with its record; and how a record is decoded.

use std::ops::Deref;

use crate::codec::{self, Decoded};
use crate::error::DecodeError;
use crate::event::Event;
use crate::event_set::has_name;

pub use factum_core::record::{Assigned, ContentType, MAX_EVENT_DATA, NewEvent, RecordedEvent};

/// Decodes a [`RecordedEvent`] into typed events.
pub trait DecodeEvent {
    /// Returns whether the event type belongs to `E`, as a current name, an alias or a retired name.
    fn is_a<E: Event>(&self) -> bool;

    /// Returns the current events that the record represents: one; several if it was split since; none if it was retired.
    ///
    /// # Errors
    /// Returns [`DecodeError`], which names the event that cannot be decoded, its position and the reason.
    fn decode_all<E: Event>(&self) -> Result<Decoded<E>, DecodeError>;

    /// Returns the typed event in its current schema version.
    ///
    /// # Errors
    /// Returns [`DecodeError`], which names the event that cannot be decoded, its position and the reason. An event
    /// that was split or retired does not decode to exactly one event.
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

/// A typed event together with its record; reads like the event.
#[derive(Debug, Clone)]
pub struct Recorded<E> {
    /// The event.
    pub event: E,
    /// Where it stands, who caused it, when.
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
