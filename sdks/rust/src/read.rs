//! [`EventStream`]: the events of a read, which resumes after a lost connection.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Page;
use factum_core::record::RecordedEvent;
use factum_store_protocol::v1::Direction;
use factum_store_protocol::v1::read_all_request::Scope;
use factum_store_protocol::{event, query, v1};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use tonic::{Response, Status, Streaming};

use crate::attempts::Tries;
use crate::error::ClientError;
use crate::session::{Calls, ClientSession};

/// A read of one stream that is not started yet.
#[derive(Debug, Clone)]
pub struct ReadStreamCall {
    session: ClientSession,
    request: v1::ReadStreamRequest,
    timeout: Option<Duration>,
}

/// A read of the log that is not started yet.
#[derive(Debug, Clone)]
pub struct ReadAllCall {
    session: ClientSession,
    request: v1::ReadAllRequest,
    timeout: Option<Duration>,
}

macro_rules! read_options {
    ($place:literal) => {
        #[doc = concat!("Begins after this ", $place, ".")]
        #[must_use]
        pub fn after(mut self, cursor: impl Into<u64>) -> Self {
            self.request.cursor = Some(cursor.into());
            self
        }

        /// Reads backward: the newest event is first.
        #[must_use]
        pub fn backward(mut self) -> Self {
            self.request.direction = Direction::Backward.into();
            self
        }

        #[doc = concat!("Reads backward, and begins before this ", $place, ".")]
        #[must_use]
        pub fn before(self, cursor: impl Into<u64>) -> Self {
            self.after(cursor).backward()
        }

        /// Sets the maximum number of events; the default is no limit.
        #[must_use]
        pub fn limit(mut self, events: u64) -> Self {
            self.request.limit = events;
            self
        }

        /// Sets the timeout of the complete read, including repetitions; the default is no limit.
        #[must_use]
        pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.timeout = timeout.into();
            self
        }

        /// Starts the read.
        #[must_use]
        pub fn start(self) -> EventStream {
            EventStream::new(self.session, self.request, self.timeout)
        }

        /// Reads all events into memory.
        ///
        /// # Errors
        /// Returns the [`ClientError`] that ends the read.
        pub async fn collect(self) -> Result<Page, ClientError> {
            self.start().collect().await
        }
    };
}

impl ReadStreamCall {
    pub(crate) fn new(session: ClientSession, stream: String) -> Self {
        let request = v1::ReadStreamRequest {
            stream,
            direction: Direction::Forward.into(),
            ..v1::ReadStreamRequest::default()
        };
        Self {
            session,
            request,
            timeout: None,
        }
    }

    /// Requires that the stream has events: otherwise the read fails with the kind `NotFound`.
    #[must_use]
    pub fn must_exist(mut self) -> Self {
        self.request.must_exist = true;
        self
    }

    read_options!("version");
}

impl ReadAllCall {
    pub(crate) fn new(session: ClientSession) -> Self {
        let request = v1::ReadAllRequest {
            direction: Direction::Forward.into(),
            ..v1::ReadAllRequest::default()
        };
        Self {
            session,
            request,
            timeout: None,
        }
    }

    /// Reads only the events that match a query.
    #[must_use]
    pub fn query(mut self, query: &Query) -> Self {
        self.request.scope = Some(Scope::Query(query::to_message(query)));
        self
    }

    /// Reads only the events of these streams, at most 10,000.
    #[must_use]
    pub fn streams(mut self, streams: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request.scope = Some(Scope::Streams(v1::StreamNames {
            names: streams.into_iter().map(Into::into).collect(),
        }));
        self
    }

    read_options!("position");
}

/// The events of a read, in its order.
///
/// After a lost connection, the read resumes after the last event. It ends at the head that the log had at its first answer.
pub struct EventStream {
    batches: BoxStream<'static, Result<ReadChunk, ClientError>>,
    events: vec::IntoIter<RecordedEvent>,
    head: Position,
    more: bool,
}

/// The events of one message, and the end of the read as far as it is known.
struct ReadChunk {
    events: Vec<RecordedEvent>,
    head: Position,
    more: bool,
}

impl EventStream {
    fn new<R: ResumableRead>(
        session: ClientSession,
        request: R,
        timeout: Option<Duration>,
    ) -> Self {
        let tries = Tries::read(&session.options().attempts, timeout);
        let reading = Reading {
            tries,
            remaining: (request.limit() > 0).then(|| request.limit()),
            session,
            request,
            messages: None,
            head: None,
            has_ended: false,
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.next_batch().await?;
            Ok(batch.map(|batch| (batch, reading)))
        });
        Self {
            batches: batches.boxed(),
            events: Vec::new().into_iter(),
            head: Position::ZERO,
            more: false,
        }
    }

    /// Returns the next event; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<RecordedEvent, ClientError>> {
        StreamExt::next(self).await
    }

    /// Returns the head of the log at the first answer; 0 before it.
    ///
    /// After the end of a read, it is the position for an append condition.
    #[must_use]
    pub fn head(&self) -> Position {
        self.head
    }

    /// Returns whether the read ended at its limit, and there may be more events.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Reads all further events into memory.
    ///
    /// # Errors
    /// Returns the [`ClientError`] that ends the read.
    pub async fn collect(mut self) -> Result<Page, ClientError> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event?);
        }
        Ok(Page {
            events,
            head: self.head,
            more: self.more,
        })
    }
}

impl Stream for EventStream {
    type Item = Result<RecordedEvent, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.events.next() {
                return Poll::Ready(Some(Ok(event)));
            }
            match ready!(self.batches.poll_next_unpin(context)) {
                Some(Ok(batch)) => {
                    self.events = batch.events.into_iter();
                    self.head = batch.head;
                    self.more = batch.more;
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("head", &self.head)
            .field("more", &self.more)
            .finish_non_exhaustive()
    }
}

/// A read that receives messages, and connects again.
struct Reading<R: ResumableRead> {
    session: ClientSession,
    request: R,
    tries: Tries,
    messages: Option<Streaming<R::Answer>>,
    /// The number of events until the limit; `None` without a limit.
    remaining: Option<u64>,
    head: Option<Position>,
    has_ended: bool,
}

impl<R: ResumableRead> Reading<R> {
    /// Returns the next batch; `None` at the end of the read.
    async fn next_batch(&mut self) -> Result<Option<ReadChunk>, ClientError> {
        while !self.has_ended {
            match self.receive().await {
                Ok(Some(answer)) => return self.batch(answer).map(Some),
                Ok(None) => self.has_ended = true,
                Err(_) if self.remaining == Some(0) => {
                    // Whether there are more events is not known.
                    self.has_ended = true;
                    let head = self.head.unwrap_or_default();
                    return Ok(Some(ReadChunk {
                        events: Vec::new(),
                        head,
                        more: true,
                    }));
                }
                Err(status) => {
                    self.messages = None;
                    self.tries.pause_after(status).await?;
                }
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Option<R::Answer>, Status> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            closed => {
                let opened = self.request.clone().open(self.session.calls());
                closed.insert(self.tries.within(opened).await?.into_inner())
            }
        };
        self.tries.within(messages.message()).await
    }

    /// Checks a message, and moves the request after its last event.
    fn batch(&mut self, answer: R::Answer) -> Result<ReadChunk, ClientError> {
        let (events, head, more) = R::parts(answer);
        let head = *self.head.get_or_insert(Position::new(head));
        let events = events.into_iter().map(event::from_message);
        let mut events = events.collect::<Result<Vec<_>, _>>()?;
        self.tries.reset();
        let received = events.len();
        events.retain(|event| event.position <= head);
        // Newer events are the last ones of a forward read, and the first ones of a backward read.
        self.has_ended = events.len() < received && !self.request.is_backward();
        if let Some(last) = events.last() {
            self.request.resume_after(last);
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(events.len() as u64);
            self.request.set_limit(*remaining);
        }
        Ok(ReadChunk {
            events,
            head,
            more: more && !self.has_ended,
        })
    }
}

/// The request of a read, which changes as events arrive.
trait ResumableRead: Clone + Send + 'static {
    type Answer: Send + 'static;

    fn open(
        self,
        calls: Calls,
    ) -> impl Future<Output = Result<Response<Streaming<Self::Answer>>, Status>> + Send;

    /// Returns the events, the head, and whether there are more events.
    fn parts(answer: Self::Answer) -> (Vec<v1::Event>, u64, bool);

    fn resume_after(&mut self, last: &RecordedEvent);

    fn limit(&self) -> u64;

    fn set_limit(&mut self, limit: u64);

    fn is_backward(&self) -> bool;
}

impl ResumableRead for v1::ReadStreamRequest {
    type Answer = v1::ReadStreamResponse;

    async fn open(self, mut calls: Calls) -> Result<Response<Streaming<Self::Answer>>, Status> {
        calls.read_stream(self).await
    }

    fn parts(answer: Self::Answer) -> (Vec<v1::Event>, u64, bool) {
        (answer.events, answer.head, answer.more)
    }

    fn resume_after(&mut self, last: &RecordedEvent) {
        self.cursor = Some(last.version.get());
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    fn is_backward(&self) -> bool {
        self.direction() == Direction::Backward
    }
}

impl ResumableRead for v1::ReadAllRequest {
    type Answer = v1::ReadAllResponse;

    async fn open(self, mut calls: Calls) -> Result<Response<Streaming<Self::Answer>>, Status> {
        calls.read_all(self).await
    }

    fn parts(answer: Self::Answer) -> (Vec<v1::Event>, u64, bool) {
        (answer.events, answer.head, answer.more)
    }

    fn resume_after(&mut self, last: &RecordedEvent) {
        self.cursor = Some(last.position.get());
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    fn is_backward(&self) -> bool {
        self.direction() == Direction::Backward
    }
}
