//! [`Encoded`]: an answer with events, which is encoded from the stored events without a message for each.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use factum_core::metadata::Metadata;
use factum_core::position::Position;
use factum_core::record::RecordedEvent;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, message, uint64};
use uuid::Uuid;

use crate::event::{content_type_field, metadata_message};
use crate::{time, v1};

/// The expected size of the fields of an event except its data, in bytes.
const OTHER_FIELDS: usize = 192;

/// The encoding of a message of the type `M`.
///
/// The server sends events in this form. The type contains the numbers of the fields of events and of their answers; a test
/// compares it with the generated messages.
#[derive(Debug, Clone)]
pub struct Encoded<M> {
    /// The fields before the events.
    header: Bytes,
    events: EncodedEvents,
    /// The fields after the events.
    trailer: Bytes,
    message: PhantomData<fn() -> M>,
}

/// Events in the encoding of an answer; a clone shares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedEvents(Bytes);

/// An encoded [`v1::ReadStreamResponse`].
pub type ReadStreamResponse = Encoded<v1::ReadStreamResponse>;
/// An encoded [`v1::ReadAllResponse`].
pub type ReadAllResponse = Encoded<v1::ReadAllResponse>;
/// An encoded [`v1::SubscribeResponse`].
pub type SubscribeResponse = Encoded<v1::SubscribeResponse>;

impl<M: Message> From<M> for Encoded<M> {
    fn from(message: M) -> Self {
        let fields = message.encode_to_vec().into();
        Self::new(Bytes::new(), EncodedEvents::default(), fields)
    }
}

impl<M> Encoded<M> {
    fn new(header: Bytes, events: EncodedEvents, trailer: Bytes) -> Self {
        Self {
            header,
            events,
            trailer,
            message: PhantomData,
        }
    }

    /// Returns the size of the message in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.header.len() + self.events.size() + self.trailer.len()
    }

    /// Appends the message to `buffer`.
    pub fn put(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.header);
        buffer.put_slice(&self.events.0);
        buffer.put_slice(&self.trailer);
    }
}

impl ReadStreamResponse {
    /// Encodes the next events of a read.
    #[must_use]
    pub fn of(events: EncodedEvents, head: Position, more: bool) -> Self {
        Self::new(Bytes::new(), events, end_of_read(head, more))
    }
}

impl ReadAllResponse {
    /// Encodes the next events of a read.
    #[must_use]
    pub fn of(events: EncodedEvents, head: Position, more: bool) -> Self {
        Self::new(Bytes::new(), events, end_of_read(head, more))
    }
}

impl SubscribeResponse {
    /// Encodes further events; the log was examined up to `position`.
    #[must_use]
    pub fn of(events: EncodedEvents, position: Position) -> Self {
        let (mut header, mut trailer) = (BytesMut::new(), BytesMut::new());
        put_number(2, position.get(), &mut trailer);
        // The events and the position are the fields of a message in the answer.
        put_length(1, events.size() + trailer.len(), &mut header);
        Self::new(header.freeze(), events, trailer.freeze())
    }
}

/// Encodes the fields after the events of a [`v1::ReadStreamResponse`] or a [`v1::ReadAllResponse`].
fn end_of_read(head: Position, more: bool) -> Bytes {
    let mut trailer = BytesMut::new();
    put_number(2, head.get(), &mut trailer);
    put_number(3, u64::from(more), &mut trailer);
    trailer.freeze()
}

impl EncodedEvents {
    /// Encodes `events` as the field `events` of an answer, which has the number 1 in each.
    #[must_use]
    pub fn of(events: &[RecordedEvent]) -> Self {
        let size = events.iter().map(|event| event.data.len() + OTHER_FIELDS);
        let mut batch = BytesMut::with_capacity(size.sum());
        let (mut fields, mut metadata) = (BytesMut::new(), MetadataField::default());
        for event in events {
            fields.clear();
            put_event(event, metadata.of(&event.metadata), &mut fields);
            put_length(1, fields.len(), &mut batch);
            batch.put_slice(&fields);
        }
        Self(batch.freeze())
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the encoding is empty: it has no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The encoded metadata of an event, which the events of a batch often share.
#[derive(Default)]
struct MetadataField<'e> {
    metadata: Option<&'e Arc<Metadata>>,
    field: BytesMut,
}

impl<'e> MetadataField<'e> {
    /// Returns the field with `metadata`; it is empty if the metadata is.
    fn of(&mut self, metadata: &'e Arc<Metadata>) -> &[u8] {
        if !self
            .metadata
            .is_some_and(|last| Arc::ptr_eq(last, metadata))
        {
            self.metadata = Some(metadata);
            self.field.clear();
            if let Some(message) = metadata_message(metadata) {
                message::encode(10, &message, &mut self.field);
            }
        }
        &self.field
    }
}

/// Appends the fields of `event`, as those of a [`v1::Event`].
fn put_event(event: &RecordedEvent, metadata: &[u8], buffer: &mut BytesMut) {
    put_number(1, event.position.get(), buffer);
    put_bytes(2, event.stream.as_str().as_bytes(), buffer);
    put_number(3, event.version.get(), buffer);
    let mut id = Uuid::encode_buffer();
    let id = event.id.hyphenated().encode_lower(&mut id);
    put_bytes(4, id.as_bytes(), buffer);
    put_bytes(5, event.name.as_bytes(), buffer);
    put_number(6, event.schema_version.into(), buffer);
    put_bytes(
        7,
        content_type_field(&event.content_type).as_bytes(),
        buffer,
    );
    put_bytes(8, &event.data, buffer);
    for tag in &event.tags {
        put_length(9, tag.as_str().len(), buffer);
        buffer.put_slice(tag.as_str().as_bytes());
    }
    buffer.put_slice(metadata);
    message::encode(11, &time::to_message(event.recorded_at), buffer);
}

/// Appends a number; 0 is not sent.
fn put_number(field: u32, number: u64, buffer: &mut BytesMut) {
    if number != 0 {
        uint64::encode(field, &number, buffer);
    }
}

/// Appends a text or bytes; empty ones are not sent.
fn put_bytes(field: u32, bytes: &[u8], buffer: &mut BytesMut) {
    if !bytes.is_empty() {
        put_length(field, bytes.len(), buffer);
        buffer.put_slice(bytes);
    }
}

/// Appends the beginning of a field of `length` bytes.
fn put_length(field: u32, length: usize, buffer: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use factum_core::position::Version;
    use factum_core::record::ContentType;
    use factum_core::timestamp::Timestamp;

    use super::*;
    use crate::event;

    fn events() -> Vec<RecordedEvent> {
        let mut metadata = Metadata::default();
        metadata.actor = Some("alice".to_owned());
        metadata.correlation_id = Some(Uuid::from_u128(9));
        metadata.extra = BTreeMap::from([("shard".to_owned(), 3.into())]);
        metadata.foreign = Bytes::from_static(b"\xff\0");
        let full = RecordedEvent {
            position: Position::new(300),
            stream: "lamp-1".parse().unwrap(),
            version: Version::new(7),
            id: Uuid::from_u128(0xabc),
            name: "lamp.lit".into(),
            schema_version: 2,
            content_type: ContentType::from("image/jpeg"),
            data: Bytes::from(vec![255; 300]),
            tags: vec![
                "a".to_owned().try_into().unwrap(),
                "b:c".to_owned().try_into().unwrap(),
            ],
            metadata: Arc::new(metadata),
            recorded_at: Timestamp::from_micros(1_700_000_000_123_456),
        };
        let small = RecordedEvent {
            position: Position::new(301),
            schema_version: 1,
            content_type: ContentType::Json,
            data: Bytes::new(),
            tags: Vec::new(),
            metadata: Arc::default(),
            recorded_at: Timestamp::from_micros(-1),
            ..full.clone()
        };
        vec![full, small]
    }

    /// Compares an answer with its message.
    #[track_caller]
    fn assert_encodes<M: Message + Default + PartialEq + std::fmt::Debug>(
        encoded: &Encoded<M>,
        message: &M,
    ) {
        let mut bytes = Vec::new();
        encoded.put(&mut bytes);
        assert_eq!(bytes.len(), encoded.size());
        assert_eq!(&M::decode(&*bytes).unwrap(), message);
        assert_eq!(bytes, message.encode_to_vec());
    }

    #[test]
    fn encoded_answers_are_those_of_the_generated_messages() {
        let recorded = events();
        for recorded in [&recorded[..], &recorded[..1], &[]] {
            let events: Vec<_> = recorded.iter().map(event::to_message).collect();
            let encoded = EncodedEvents::of(recorded);
            for (head, more) in [(0, false), (400, true)] {
                let at = Position::new(head);
                let message = v1::ReadStreamResponse {
                    events: events.clone(),
                    head,
                    more,
                };
                assert_encodes(&ReadStreamResponse::of(encoded.clone(), at, more), &message);
                let message = v1::ReadAllResponse {
                    events: events.clone(),
                    head,
                    more,
                };
                assert_encodes(&ReadAllResponse::of(encoded.clone(), at, more), &message);
            }
            let batch = v1::EventBatch {
                events,
                position: 301,
            };
            let message = v1::SubscribeResponse {
                message: Some(v1::subscribe_response::Message::Events(batch)),
            };
            let encoded = SubscribeResponse::of(encoded, Position::new(301));
            assert_encodes(&encoded, &message);
            assert_encodes(&message.clone().into(), &message);
        }
    }
}
