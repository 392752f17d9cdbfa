//! [`AppendCall`] and [`EventData`]: the events to store.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use factum_core::append::{Appended, ExpectedVersion};
use factum_core::event_id::new_event_id;
use factum_core::metadata::Metadata;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_store_protocol::append::{appended, expected_message};
use factum_store_protocol::event::metadata_message;
use factum_store_protocol::{query, v1};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use uuid::Uuid;

use crate::attempts::Tries;
use crate::error::ClientError;
use crate::session::ClientSession;

/// An event to store.
#[derive(Debug, Clone, PartialEq)]
pub struct EventData(v1::NewEvent);

impl EventData {
    /// Creates an event whose data is `data` as JSON.
    ///
    /// # Errors
    /// Returns an error if `data` has no JSON form.
    pub fn json(
        event_type: impl Into<String>,
        data: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_vec(data)?;
        Ok(Self(v1::NewEvent {
            event_type: event_type.into(),
            data: data.into(),
            ..v1::NewEvent::default()
        }))
    }

    /// Creates an event with data that is sent unchanged, of a media type, for example `image/jpeg`.
    #[must_use]
    pub fn bytes(
        event_type: impl Into<String>,
        content_type: impl Into<String>,
        data: impl Into<Bytes>,
    ) -> Self {
        Self(v1::NewEvent {
            event_type: event_type.into(),
            content_type: content_type.into(),
            data: data.into(),
            ..v1::NewEvent::default()
        })
    }

    /// Sets the id; without one, the server creates it.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.0.id = id.to_string();
        self
    }

    /// Sets the version of the event schema, from 1; the default is 1.
    #[must_use]
    pub fn schema_version(mut self, version: u32) -> Self {
        self.0.schema_version = version;
        self
    }

    /// Adds a tag, by which queries find the event.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.0.tags.push(tag.into());
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: &Metadata) -> Self {
        self.0.metadata = metadata_message(metadata);
        self
    }
}

/// An append that is not sent yet. Await it to send it.
///
/// The streams of one append are stored together or not at all. The append has a generated idempotency key, so that it is
/// repeated safely if the connection is lost.
#[derive(Debug, Clone)]
#[must_use = "an append does nothing until it is awaited"]
pub struct AppendCall {
    session: ClientSession,
    request: v1::AppendRequest,
    key: Key,
    timeout: Option<Duration>,
}

/// The idempotency key of an append.
#[derive(Debug, Clone)]
enum Key {
    Generated,
    OfCaller(String),
    None,
}

impl AppendCall {
    pub(crate) fn new(session: ClientSession) -> Self {
        Self {
            timeout: session.options().timeout,
            session,
            request: v1::AppendRequest::default(),
            key: Key::Generated,
        }
    }

    /// Adds the events of one stream. Without events, only its version is checked.
    ///
    /// A stream may be added several times with the same expected version, so that the events of streams are mixed. Their
    /// positions have the order of the calls.
    pub fn stream(
        mut self,
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = EventData>,
    ) -> Self {
        let part = v1::ExpectedStream {
            stream: stream.into(),
            expected: Some(expected_message(expected)),
        };
        // The server refuses a stream with two expected versions.
        let streams = &mut self.request.streams;
        let known = streams.iter().position(|known| *known == part);
        let index = known.unwrap_or_else(|| {
            streams.push(part);
            streams.len() - 1
        }) as u32;
        let events = events.into_iter().map(|event| v1::NewEvent {
            stream: index,
            ..event.0
        });
        self.request.events.extend(events);
        self
    }

    /// Sets the append condition: no event after `after` matches `query`.
    ///
    /// `after` is the position up to which the caller has read, usually the head of a read.
    pub fn condition(mut self, query: &Query, after: Position) -> Self {
        self.request.condition = Some(v1::AppendCondition {
            query: Some(query::to_message(query)),
            after: after.get(),
        });
        self
    }

    /// Requires that an event with this id is stored.
    pub fn require_event(mut self, id: Uuid) -> Self {
        self.request.required_events.push(id.to_string());
        self
    }

    /// Sets the idempotency key. A repeated append with the same key and content returns the first result.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Key::OfCaller(key.into());
        self
    }

    /// Sends the append without an idempotency key. It is not repeated if its outcome is unknown.
    pub fn without_key(mut self) -> Self {
        self.key = Key::None;
        self
    }

    /// Sets the timeout, including repetitions; `None` means no limit.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    async fn send(mut self) -> Result<Appended, ClientError> {
        let key = match self.key {
            Key::Generated => Some(new_event_id().to_string()),
            Key::OfCaller(key) => Some(key),
            Key::None => None,
        };
        let attempts = &self.session.options().attempts;
        let tries = Tries::write(attempts, self.timeout, key.is_some());
        self.request.idempotency_key = key.map(|key| v1::IdempotencyKey {
            key,
            fingerprint: Bytes::new(),
        });
        let answer = self
            .session
            .call(tries, self.request, |session, request| async move {
                session.calls().append(request).await
            });
        Ok(appended(answer.await?)?)
    }
}

impl IntoFuture for AppendCall {
    type Output = Result<Appended, ClientError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}
