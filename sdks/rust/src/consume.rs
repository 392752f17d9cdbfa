//! [`GroupConsumer`]: the deliveries of a consumer group, also after a lost connection.

use std::fmt;
use std::time::Duration;

use factum_core::record::RecordedEvent;
use factum_store_protocol::event;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::v1::consume_request::Message as Request;
use factum_store_protocol::v1::consume_request::{Ack, Action, Credit, Heartbeat, Nack, Start};
use factum_store_protocol::v1::consume_response::Message as Answer;
use factum_store_protocol::v1::{self, StopReason};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use crate::attempts::Tries;
use crate::duration::duration;
use crate::error::ClientError;
use crate::session::ClientSession;

/// The session timeout of the server, if the caller sets none.
const SESSION_TIMEOUT: Duration = Duration::from_secs(15);

/// The time without a message after which a consumer that leaves cancels its call.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// A consumer that has not joined its group yet.
#[derive(Debug, Clone)]
pub struct ConsumeCall {
    session: ClientSession,
    start: Start,
    session_timeout: Duration,
}

impl ConsumeCall {
    pub(crate) fn new(session: ClientSession, group: String) -> Self {
        let start = Start {
            group,
            credit: 10,
            ..Start::default()
        };
        Self {
            session,
            start,
            session_timeout: SESSION_TIMEOUT,
        }
    }

    /// Sets the name of the consumer for people, at most 200 bytes.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.start.consumer = name.into();
        self
    }

    /// Sets the number of events that the consumer can take before it answers one; the default is 10.
    #[must_use]
    pub fn credit(mut self, events: u32) -> Self {
        self.start.credit = events;
        self
    }

    /// Sets the time without a message after which the server considers the consumer dead, 1 s to 60 s; the default is 15 s.
    ///
    /// The client sends a heartbeat in each third of it, also while the caller works.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.start.session_timeout = Some(duration(timeout));
        self.session_timeout = timeout;
        self
    }

    /// Sets the longest time without a message of the server, 100 ms to 5 s; the default is 5 s.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.start.heartbeat = Some(duration(heartbeat));
        self
    }

    /// Creates the consumer. It joins its group when the first delivery is requested.
    #[must_use]
    pub fn start(self) -> GroupConsumer {
        GroupConsumer {
            tries: Tries::read(&self.session.options().reconnect, None),
            call: self,
            joined: None,
            has_ended: false,
        }
    }
}

/// A consumer of a group. It receives deliveries without end.
///
/// A consumer whose connection is lost joins again. The server delivers the events without an answer again. Call
/// [`leave`](Self::leave) at the end, so that all answers arrive; a consumer that is dropped cancels its call.
pub struct GroupConsumer {
    call: ConsumeCall,
    tries: Tries,
    joined: Option<Joined>,
    has_ended: bool,
}

/// The requests of a consumer; `None` ends them.
type Requests = mpsc::UnboundedSender<Option<Request>>;

/// The call of a consumer that has joined its group.
struct Joined {
    requests: Requests,
    answers: Streaming<v1::ConsumeResponse>,
}

impl GroupConsumer {
    /// Returns the next delivery; `None` only after an error. Cancel safe.
    ///
    /// # Errors
    /// Returns a [`ClientError`] that a new connection does not remove, for example of the kind `GroupStopped`.
    pub async fn next(&mut self) -> Option<Result<GroupDelivery, ClientError>> {
        if self.has_ended {
            return None;
        }
        let result = self.receive().await;
        self.has_ended = result.is_err();
        if self.has_ended {
            self.joined = None;
        }
        Some(result)
    }

    /// Leaves the group after all answers were sent.
    pub async fn leave(self) {
        let Some(Joined {
            requests,
            mut answers,
        }) = self.joined
        else {
            return;
        };
        // The call has ended if nobody receives the requests.
        let _ = requests.send(None);
        loop {
            match timeout(LEAVE_LIMIT, answers.message()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return,
                Ok(Err(status)) => return debug!(%status, "the consumer left its group"),
                Err(_) => return debug!("the server did not end the call of a consumer"),
            }
        }
    }

    async fn receive(&mut self) -> Result<GroupDelivery, ClientError> {
        let silence = self.call.session.options().silence;
        loop {
            let status = match timeout(silence, self.answer()).await {
                Ok(Ok(Some(Answer::Stopped(stopped)))) if is_temporary(&stopped) => {
                    Status::unavailable(stopped.message)
                }
                Ok(Ok(message)) => {
                    self.tries.reset();
                    if let Some(delivery) = self.delivery(message)? {
                        return Ok(delivery);
                    }
                    continue;
                }
                Ok(Err(status)) => status,
                Err(_) => {
                    Status::unavailable(format!("the server sent no message for {silence:?}"))
                }
            };
            self.joined = None;
            self.tries.pause_after(status).await?;
        }
    }

    async fn answer(&mut self) -> Result<Option<Answer>, Status> {
        let joined = match &mut self.joined {
            Some(joined) => joined,
            closed => closed.insert(self.call.join().await?),
        };
        let answer = joined.answers.message().await?;
        let answer = answer.ok_or_else(|| Status::unavailable("the server ended the call"))?;
        Ok(answer.message)
    }

    fn delivery(&self, answer: Option<Answer>) -> Result<Option<GroupDelivery>, ClientError> {
        match answer {
            Some(Answer::Delivery(delivery)) => {
                let missing = || InvalidMessage::missing("delivery.event");
                let event = event::from_message(delivery.event.ok_or_else(missing)?)?;
                let requests = self.joined.as_ref().map(|joined| joined.requests.clone());
                Ok(Some(GroupDelivery {
                    event,
                    attempt: delivery.attempt,
                    partition: delivery.partition,
                    fence: delivery.fence,
                    requests,
                }))
            }
            Some(Answer::Stopped(stopped)) => Err(ClientError::stopped(stopped)),
            Some(Answer::NotSettled(lost)) => {
                warn!(positions = ?lost.positions, reason = lost.reason, "answers do not count");
                Ok(None)
            }
            // Notes about partitions and progress, and messages of a newer server.
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for GroupConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConsumer")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

impl ConsumeCall {
    async fn join(&self) -> Result<Joined, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // The receiver is in scope, so that the message is received.
        let _ = sender.send(Some(Request::Start(self.start.clone())));
        let interval = self.session_timeout / 3;
        let requests = stream::unfold(receiver, move |mut receiver| async move {
            let message = match timeout(interval, receiver.recv()).await {
                Ok(message) => message.flatten()?,
                Err(_) => Request::Heartbeat(Heartbeat {}),
            };
            let message = Some(message);
            Some((v1::ConsumeRequest { message }, receiver))
        });
        let answers = self.session.groups().consume(requests).await?;
        Ok(Joined {
            requests: sender,
            answers: answers.into_inner(),
        })
    }
}

fn is_temporary(stopped: &v1::Stopped) -> bool {
    matches!(
        stopped.reason(),
        StopReason::ServerStopping
            | StopReason::StoreFailed
            | StopReason::ConsumerSilent
            | StopReason::ConsumerSlow
    )
}

/// An event for a consumer, which must answer it.
///
/// The server delivers an event without an answer again, after the answer timeout of the group.
#[derive(Debug)]
#[must_use = "an event without an answer is delivered again"]
pub struct GroupDelivery {
    /// The event.
    pub event: RecordedEvent,
    /// The number of failed attempts, and 1.
    pub attempt: u32,
    partition: u32,
    fence: u64,
    requests: Option<Requests>,
}

/// The consequence of an event that was not processed.
#[derive(Debug, Clone)]
pub struct NackAction {
    action: Action,
    retry_after: Option<Duration>,
    reason: String,
}

impl NackAction {
    fn new(action: Action) -> Self {
        Self {
            action,
            retry_after: None,
            reason: String::new(),
        }
    }

    /// Delivers the event again, after a pause by the settings of the group.
    #[must_use]
    pub fn retry() -> Self {
        Self::new(Action::Retry)
    }

    /// Delivers the event again after `pause`, at most 24 h.
    #[must_use]
    pub fn retry_after(pause: Duration) -> Self {
        Self {
            retry_after: Some(pause),
            ..Self::retry()
        }
    }

    /// Makes the event a dead letter.
    #[must_use]
    pub fn dead_letter() -> Self {
        Self::new(Action::DeadLetter)
    }

    /// Settles the event as if it were processed.
    #[must_use]
    pub fn skip() -> Self {
        Self::new(Action::Skip)
    }

    /// Stops the group for all consumers, until it is resumed or reset.
    #[must_use]
    pub fn stop() -> Self {
        Self::new(Action::Stop)
    }

    /// Sets the reason for people, of which the server stores 2,000 bytes.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl GroupDelivery {
    /// Reports that the event was processed.
    ///
    /// The answer is sent without waiting. If the connection was lost, it is dropped, and the event is delivered again.
    pub fn ack(self) {
        self.answer(Request::Ack(Ack {
            partition: self.partition,
            fence: self.fence,
            positions: vec![self.event.position.get()],
        }));
    }

    /// Reports that the event was not processed.
    ///
    /// The answer is sent without waiting. If the connection was lost, it is dropped, and the event is delivered again.
    pub fn nack(self, action: NackAction) {
        self.answer(Request::Nack(Nack {
            partition: self.partition,
            fence: self.fence,
            position: self.event.position.get(),
            action: action.action.into(),
            retry_after: action.retry_after.map(duration),
            reason: action.reason,
        }));
    }

    fn answer(&self, answer: Request) {
        let Some(requests) = &self.requests else {
            return;
        };
        // Nobody receives the requests of a lost connection.
        let _ = requests.send(Some(answer));
        let _ = requests.send(Some(Request::Credit(Credit { events: 1 })));
    }
}
