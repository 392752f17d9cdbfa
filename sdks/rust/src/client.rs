//! [`Client`], and its calls that change nothing and return one answer.

use factum_core::append::ExpectedVersion;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::{read, time, v1};

use crate::append::{AppendCall, EventData};
use crate::consume::ConsumeCall;
use crate::error::ClientError;
use crate::groups::GroupAdmin;
use crate::list::ListStreamsCall;
use crate::options::{ClientOptions, InvalidOptions};
use crate::read::{ReadAllCall, ReadStreamCall};
use crate::session::ClientSession;
use crate::subscribe::SubscribeCall;

/// A client of an event store server. Clones share one connection.
///
/// The connection is established by the first call, and again after a failure. Calls can be used by several tasks at the
/// same time. To cancel a call, drop its future or stream.
#[derive(Debug, Clone)]
pub struct Client(ClientSession);

/// The version, the backend, the features and the limits of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerDescription {
    /// The version of the server.
    pub version: String,
    /// The backend: `memory`, `sqlite` or `postgres`.
    pub backend: String,
    /// The optional operations that the server has, for example `import`.
    pub features: Vec<String>,
    /// The maximum number of events in one append.
    pub max_append_events: u64,
    /// The maximum size of a request message, in bytes.
    pub max_message_bytes: u64,
}

/// A stream and the time of its last event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamDescription {
    /// The name of the stream.
    pub stream: StreamId,
    /// The number of events.
    pub version: Version,
    /// The position of the last event.
    pub position: Position,
    /// The time of the last event.
    pub changed_at: Timestamp,
}

impl Client {
    /// Creates a client of the server at `address` with the default settings.
    ///
    /// It connects at its first call. Call this function within a Tokio runtime.
    ///
    /// # Errors
    /// Returns [`InvalidOptions`] if the address is not valid.
    pub fn open(address: impl Into<String>) -> Result<Self, InvalidOptions> {
        ClientOptions::new(address).open()
    }

    /// Starts an append of events to a stream, which may be extended by further streams.
    #[must_use = "an append does nothing until it is awaited"]
    pub fn append(
        &self,
        stream: impl Into<String>,
        expected: ExpectedVersion,
        events: impl IntoIterator<Item = EventData>,
    ) -> AppendCall {
        AppendCall::new(self.0.clone()).stream(stream, expected, events)
    }

    /// Starts a read of the events of one stream.
    #[must_use = "a read does nothing until it is started"]
    pub fn read_stream(&self, stream: impl Into<String>) -> ReadStreamCall {
        ReadStreamCall::new(self.0.clone(), stream.into())
    }

    /// Starts a read of the log, of the events of a query, or of several streams.
    #[must_use = "a read does nothing until it is started"]
    pub fn read_all(&self) -> ReadAllCall {
        ReadAllCall::new(self.0.clone())
    }

    /// Starts a subscription: stored events, then new ones, without a gap and without a duplicate.
    #[must_use = "a subscription does nothing until it is started"]
    pub fn subscribe(&self) -> SubscribeCall {
        SubscribeCall::new(self.0.clone())
    }

    /// Creates a consumer of a group, which shares the events of the group with other consumers.
    #[must_use = "a consumer does nothing until it is started"]
    pub fn consume(&self, group: impl Into<String>) -> ConsumeCall {
        ConsumeCall::new(self.0.clone(), group.into())
    }

    /// Returns the management of consumer groups.
    #[must_use]
    pub fn groups(&self) -> GroupAdmin {
        GroupAdmin::new(self.0.clone())
    }

    /// Returns the position of the last event; 0 if the log is empty.
    ///
    /// # Errors
    /// Returns the [`ClientError`] of the last try.
    pub async fn head(&self) -> Result<Position, ClientError> {
        let head = self
            .0
            .ask(v1::GetHeadRequest {}, |session, request| async move {
                session.calls().get_head(request).await
            });
        Ok(Position::new(head.await?.position))
    }

    /// Returns the version of a stream, and the position and time of its last event.
    ///
    /// # Errors
    /// Returns the [`ClientError`] of the last try; its kind is `NotFound` if the stream has no events.
    pub async fn describe_stream(
        &self,
        stream: impl Into<String>,
    ) -> Result<StreamDescription, ClientError> {
        let request = v1::DescribeStreamRequest {
            stream: stream.into(),
        };
        let answer = self.0.ask(request, |session, request| async move {
            session.calls().describe_stream(request).await
        });
        let answer = answer.await?;
        let stream = answer
            .stream
            .ok_or_else(|| InvalidMessage::missing("stream"))?;
        let summary = read::summary(stream)?;
        Ok(StreamDescription {
            stream: summary.stream,
            version: summary.version,
            position: summary.position,
            changed_at: time::from_message("changed_at", answer.changed_at.as_ref())?,
        })
    }

    /// Returns the version, the backend, the features and the limits of the server.
    ///
    /// # Errors
    /// Returns the [`ClientError`] of the last try.
    pub async fn server_info(&self) -> Result<ServerDescription, ClientError> {
        let request = v1::GetServerInfoRequest {};
        let answer = self.0.ask(request, |session, request| async move {
            session.calls().get_server_info(request).await
        });
        let answer = answer.await?;
        Ok(ServerDescription {
            version: answer.version,
            backend: answer.backend,
            features: answer.features,
            max_append_events: answer.max_append_events,
            max_message_bytes: answer.max_message_bytes,
        })
    }

    /// Starts a list of the streams in the byte order of their names.
    #[must_use = "a list does nothing until it is started"]
    pub fn list_streams(&self) -> ListStreamsCall {
        ListStreamsCall::new(self.0.clone())
    }
}

impl ClientOptions {
    /// Creates the client. It connects at its first call. Call this function within a Tokio runtime.
    ///
    /// # Errors
    /// Returns [`InvalidOptions`] if the address, the token or a certificate is not valid.
    pub fn open(self) -> Result<Client, InvalidOptions> {
        let connection = self.connect()?;
        Ok(Client(ClientSession::new(connection, self)))
    }
}
