//! [`LogSubscription`]: stored events, then new ones, also after a lost connection.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_store_protocol::v1::subscribe_request::Start;
use factum_store_protocol::v1::subscribe_response::Message;
use factum_store_protocol::{event, query, v1};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::attempts::Tries;
use crate::duration::duration;
use crate::error::ClientError;
use crate::session::ClientSession;

/// A subscription that is not started yet.
#[derive(Debug, Clone)]
pub struct SubscribeCall {
    session: ClientSession,
    request: v1::SubscribeRequest,
}

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SubscriptionMessage {
    /// An event.
    Event(RecordedEvent),
    /// All stored events were delivered; new ones follow as they are stored.
    CaughtUp {
        /// The position up to which the log was examined.
        position: Position,
    },
    /// The reader is too slow for the new events; stored ones follow again. No event is missing.
    FellBehind {
        /// The position up to which events were delivered.
        position: Position,
        /// The head of the log.
        head: Position,
    },
    /// The log was examined up to a position, and no further event matches.
    Checkpoint {
        /// The position from which a later subscription can start.
        position: Position,
    },
}

impl SubscriptionMessage {
    /// Returns the position after which a later subscription can start.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::CaughtUp { position }
            | Self::FellBehind { position, .. }
            | Self::Checkpoint { position } => *position,
        }
    }

    /// Returns the event, if the message is one.
    #[must_use]
    pub fn into_event(self) -> Option<RecordedEvent> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

impl SubscribeCall {
    pub(crate) fn new(session: ClientSession) -> Self {
        let request = v1::SubscribeRequest::default();
        Self { session, request }
    }

    /// Receives only the events that match a query.
    #[must_use]
    pub fn query(mut self, query: &Query) -> Self {
        self.request.query = Some(query::to_message(query));
        self
    }

    /// Starts after this position; the default is the beginning of the log.
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        self.request.start = Some(Start::After(position.get()));
        self
    }

    /// Starts after the head at the time of the call.
    #[must_use]
    pub fn live_only(mut self) -> Self {
        self.request.start = Some(Start::LiveOnly(v1::Unit {}));
        self
    }

    /// Sets the longest time without a message of the server, 100 ms to 5 s; the default is 5 s.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.request.heartbeat = Some(duration(heartbeat));
        self
    }

    /// Sets the maximum number of events in one message of the server, 1 to 1,000; the default is 1,000.
    #[must_use]
    pub fn max_batch(mut self, events: u32) -> Self {
        self.request.max_batch = events;
        self
    }

    /// Starts the subscription.
    #[must_use]
    pub fn start(self) -> LogSubscription {
        let options = self.session.options();
        let position = match self.request.start {
            Some(Start::After(position)) => Position::new(position),
            _ => Position::ZERO,
        };
        let receiver = Receiver {
            tries: Tries::read(&options.reconnect, None),
            silence: options.silence,
            session: self.session,
            request: self.request,
            messages: None,
            position,
        };
        let batches = stream::try_unfold(receiver, |mut receiver| async move {
            let batch = receiver.next_batch().await?;
            let batch = stream::iter(batch.into_iter().map(Ok));
            Ok::<_, ClientError>(Some((batch, receiver)))
        });
        LogSubscription(batches.try_flatten().boxed())
    }
}

/// The messages of a subscription, without end.
///
/// A subscription whose connection is lost connects again and resumes after the last message, without a gap and without a
/// duplicate. It ends with an error that a new connection does not remove. To end it, drop it.
pub struct LogSubscription(BoxStream<'static, Result<SubscriptionMessage, ClientError>>);

impl LogSubscription {
    /// Returns the next message; `None` only after an error. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<SubscriptionMessage, ClientError>> {
        self.0.next().await
    }
}

impl Stream for LogSubscription {
    type Item = Result<SubscriptionMessage, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for LogSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSubscription").finish_non_exhaustive()
    }
}

/// A subscription that receives messages, and connects again.
struct Receiver {
    session: ClientSession,
    request: v1::SubscribeRequest,
    tries: Tries,
    silence: Duration,
    messages: Option<Streaming<v1::SubscribeResponse>>,
    position: Position,
}

impl Receiver {
    async fn next_batch(&mut self) -> Result<Vec<SubscriptionMessage>, ClientError> {
        loop {
            match timeout(self.silence, self.receive()).await {
                Ok(Ok(answer)) => {
                    self.tries.reset();
                    return self.batch(answer);
                }
                Ok(Err(status)) => {
                    self.messages = None;
                    self.tries.pause_after(status).await?;
                }
                Err(_) => {
                    self.messages = None;
                    let silent = format!("the server sent no message for {:?}", self.silence);
                    self.tries.pause_after(Status::unavailable(silent)).await?;
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<v1::SubscribeResponse, Status> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            closed => {
                let opened = self.session.calls().subscribe(self.request.clone()).await?;
                closed.insert(opened.into_inner())
            }
        };
        let message = messages.message().await?;
        message.ok_or_else(|| Status::unavailable("the server ended the subscription"))
    }

    fn batch(
        &mut self,
        answer: v1::SubscribeResponse,
    ) -> Result<Vec<SubscriptionMessage>, ClientError> {
        let message = match answer.message {
            Some(Message::Events(batch)) => return self.events(batch),
            Some(Message::CaughtUp(message)) => SubscriptionMessage::CaughtUp {
                position: Position::new(message.position),
            },
            Some(Message::FellBehind(message)) => SubscriptionMessage::FellBehind {
                position: Position::new(message.position),
                head: Position::new(message.head),
            },
            Some(Message::Checkpoint(message)) => SubscriptionMessage::Checkpoint {
                position: Position::new(message.position),
            },
            // A newer server may send further kinds of messages.
            None => return Ok(Vec::new()),
        };
        self.advance(message.position());
        Ok(vec![message])
    }

    fn events(&mut self, batch: v1::EventBatch) -> Result<Vec<SubscriptionMessage>, ClientError> {
        let mut last = self.position;
        let mut messages = Vec::with_capacity(batch.events.len() + 1);
        for message in batch.events {
            let event = event::from_message(message)?;
            if event.position <= last {
                let rule = format!("event at position {} after position {last}", event.position);
                return Err(ClientError::protocol(rule));
            }
            last = event.position;
            messages.push(SubscriptionMessage::Event(event));
        }
        let position = Position::new(batch.position);
        if position < last {
            let rule = format!("batch with position {position} and an event at {last}");
            return Err(ClientError::protocol(rule));
        }
        if position > last || messages.is_empty() {
            messages.push(SubscriptionMessage::Checkpoint { position });
        }
        self.advance(position);
        Ok(messages)
    }

    /// Moves the position from which the subscription resumes.
    fn advance(&mut self, position: Position) {
        self.position = position;
        self.request.start = Some(Start::After(position.get()));
    }
}
