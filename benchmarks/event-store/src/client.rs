//! [`Client`]: the same operations by both protocols, with the generated clients.

use std::pin::Pin;

use anyhow::Result;
use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_client::DcbClient;
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::expected_version::Kind;
use factum_store_protocol::v1::subscribe_response::Message;
use futures_util::{Stream, StreamExt as _};
use tonic::transport::Channel;

/// The data of an event.
const DATA: &str = r#"{"student":"student-0004711","course":"course-0000042","at":"2026-11-30T12:00:00Z","seats":30}"#;
const EVENT_TYPE: &str = "student.enrolled";
/// The maximum size of a received message.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    Umadb,
    Native,
}

/// A client on one connection; a clone shares it.
#[derive(Clone)]
pub enum Client {
    Umadb(DcbClient<Channel>),
    Native(EventStoreServiceClient<Channel>),
}

/// The positions of events that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    pub first: u64,
    pub last: u64,
}

/// The events of a subscription.
pub type Subscription = Pin<Box<dyn Stream<Item = Result<Option<Received>>> + Send>>;

impl Client {
    pub fn new(channel: Channel, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Umadb => {
                Self::Umadb(DcbClient::new(channel).max_decoding_message_size(MAX_MESSAGE))
            }
            Protocol::Native => {
                let client = EventStoreServiceClient::new(channel);
                Self::Native(client.max_decoding_message_size(MAX_MESSAGE))
            }
        }
    }

    /// Appends `count` events of the writer `writer`, and returns the position of the last one.
    pub async fn append(&mut self, writer: usize, count: usize) -> Result<u64> {
        match self {
            Self::Umadb(client) => {
                let event = umadb::Event {
                    event_type: EVENT_TYPE.to_owned(),
                    tags: vec![format!("course:{writer}")],
                    data: DATA.into(),
                    ..umadb::Event::default()
                };
                let request = umadb::AppendRequest {
                    events: vec![event; count],
                    ..umadb::AppendRequest::default()
                };
                Ok(client.append(request).await?.into_inner().position)
            }
            Self::Native(client) => {
                let request = native_append(writer, count);
                Ok(client.append(request).await?.into_inner().position)
            }
        }
    }

    /// Subscribes to all events after `after`.
    pub async fn subscribe(&mut self, after: u64) -> Result<Subscription> {
        match self {
            Self::Umadb(client) => {
                let request = umadb::SubscribeRequest {
                    after: Some(after),
                    ..umadb::SubscribeRequest::default()
                };
                let answers = client.subscribe(request).await?.into_inner();
                Ok(Box::pin(answers.map(|answer| {
                    let events = answer?.events;
                    Ok(received(&events, |event| event.position))
                })))
            }
            Self::Native(client) => {
                let request = v1::SubscribeRequest {
                    start: Some(v1::subscribe_request::Start::After(after)),
                    ..v1::SubscribeRequest::default()
                };
                let answers = client.subscribe(request).await?.into_inner();
                Ok(Box::pin(answers.map(|answer| match answer?.message {
                    Some(Message::Events(batch)) => {
                        Ok(received(&batch.events, |event| event.position))
                    }
                    _ => Ok(None),
                })))
            }
        }
    }
}

fn received<T>(events: &[T], position: impl Fn(&T) -> u64) -> Option<Received> {
    let (first, last) = (events.first()?, events.last()?);
    Some(Received {
        first: position(first),
        last: position(last),
    })
}

/// Returns the native request to append `count` events to the stream of `writer`.
pub fn native_append(writer: usize, count: usize) -> v1::AppendRequest {
    let event = v1::NewEvent {
        event_type: EVENT_TYPE.to_owned(),
        tags: vec![format!("course:{writer}")],
        data: DATA.into(),
        ..v1::NewEvent::default()
    };
    v1::AppendRequest {
        streams: vec![v1::ExpectedStream {
            stream: format!("course-{writer}"),
            expected: Some(v1::ExpectedVersion {
                kind: Some(Kind::Any(v1::Unit {})),
            }),
        }],
        events: vec![event; count],
        ..v1::AppendRequest::default()
    }
}
