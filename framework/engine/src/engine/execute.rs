//! [`Execute`]: a command, and who gives it and why, until it is awaited.

use std::future::{IntoFuture, ready};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tracing::{Instrument as _, Span, debug, field};
use uuid::Uuid;

use super::Engine;
use super::attempt::Attempt;
use super::execute_error::ExecuteError;
use super::parts::{Slots, streams};
use super::receipt::Receipt;
use crate::boundary::Boundary as _;
use crate::codec::Encoder;
use crate::command::Decide;
use crate::error::EncodeError;
use crate::metrics::{self, Stopwatch};
use crate::record::RecordedEvent;
use factum_core::append::IdempotencyKey;
use factum_core::document::DocumentChanges;
use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;
use factum_core::position::Version;

/// A command on its way; await it. Made by [`Engine::execute`](crate::engine::Engine::execute).
#[must_use = "a command does nothing until awaited"]
pub struct Execute<'e, C> {
    engine: &'e Engine,
    command: C,
    metadata: Metadata,
    key: Option<String>,
    expected: Option<Version>,
    consumes: DocumentChanges,
}

type Prepared<'e, C> = (Attempt<'e, C>, Slots<C>, Encoder);

impl<'e, C: Decide> Execute<'e, C> {
    pub fn new(engine: &'e Engine, command: C) -> Self {
        Self {
            engine,
            command,
            metadata: Metadata::default(),
            key: None,
            expected: None,
            consumes: DocumentChanges::new(),
        }
    }

    /// Who gives the command.
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// Why, in the actor's words.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.metadata.reason = Some(reason.into());
        self
    }

    /// The event that led to the command: what the command does is found below it in the
    /// [tree](crate::engine::Engine::causality) of whatever began it. Takes over its correlation id, and its tenant and trace
    /// context where none was given.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<C: Decide, E>(engine: Engine, remind: C, event: Recorded<E>) -> Result<(), ExecuteError<C::Error>> {
    /// engine.execute(remind).caused_by(&event).by("reminders").await?;
    /// # Ok(()) }
    /// ```
    pub fn caused_by(mut self, event: impl AsRef<RecordedEvent>) -> Self {
        self.metadata = self.metadata.caused_by(event.as_ref());
        self
    }

    /// The id that everything shares that follows from one request, where it was made by the caller. A UUIDv7 says where
    /// to look for it later.
    pub fn correlation(mut self, id: Uuid) -> Self {
        self.metadata.correlation_id = Some(id);
        self
    }

    /// The W3C trace context of the request: the text of its header `traceparent`.
    pub fn trace_parent(mut self, context: impl Into<String>) -> Self {
        self.metadata.trace_parent = Some(context.into());
        self
    }

    /// All of the metadata at once, in place of what was said before.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same key with the same command gives the first receipt again, also after a restart. 1 to 256
    /// bytes.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only if the command's first stream is at `version`; otherwise a conflict, which is not retried.
    pub fn expected_version(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    /// Only together with these changes: if a document is not as they require, a conflict, which is not retried.
    pub fn consuming(mut self, changes: DocumentChanges) -> Self {
        self.consumes = changes;
        self
    }

    /// Everything that needs no store.
    fn prepare(self) -> Result<Prepared<'e, C>, ExecuteError<C::Error>> {
        let mut slots = C::On::slots(self.command.target())?;
        let streams = streams::<C>(&mut slots)?;
        let key = self.idempotency_key_of_command()?;
        let (mut ids, mut metadata) = (EventIdGenerator::now(), self.metadata);
        metadata.correlation_id.get_or_insert_with(|| ids.next_id());
        let metadata = Arc::new(metadata);
        let attempt = Attempt {
            command: self.command,
            expected: self.expected,
            streams,
            key,
            consumes: self.consumes,
            inner: &self.engine.0,
        };
        Ok((attempt, slots, Encoder { ids, metadata }))
    }

    fn idempotency_key_of_command(&self) -> Result<Option<IdempotencyKey>, EncodeError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let content =
            serde_json::to_vec(&(C::NAME, &self.command)).map_err(|source| EncodeError {
                name: C::NAME,
                source: source.into(),
            })?;
        Ok(Some(IdempotencyKey::new(key, &content)))
    }
}

impl<'e, C: Decide> IntoFuture for Execute<'e, C> {
    type Output = Result<Receipt, ExecuteError<C::Error>>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let began = Stopwatch::start();
        let span = tracing::debug_span!(
            "execute",
            command = C::NAME,
            correlation = field::Empty,
            streams = field::Empty,
            attempts = field::Empty,
            position = field::Empty,
        );
        // What the future holds is prepared ahead of it, so that it holds it only once.
        let (attempt, mut slots, mut encoder) = match span.in_scope(|| self.prepare()) {
            Ok(prepared) => prepared,
            Err(error) => {
                let rejected = Err(error);
                metrics::executed::<C>(&rejected, began);
                return Box::pin(ready(rejected));
            }
        };
        if let Some(correlation) = &encoder.metadata.correlation_id {
            span.record("correlation", field::display(correlation));
        }
        span.record("streams", field::debug(&attempt.streams));
        let run = async move {
            let answer = attempt.while_safe(&mut slots, &mut encoder).await;
            metrics::executed::<C>(&answer, began);
            let receipt = answer?;
            let span = Span::current();
            span.record("attempts", receipt.attempts());
            span.record("position", receipt.position().get());
            debug!(events = receipt.events().len(), "executed");
            Ok(receipt)
        };
        Box::pin(run.instrument(span))
    }
}
