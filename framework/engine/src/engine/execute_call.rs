//! [`Execute`]: a command with its metadata, ready to be executed.

use std::future::{IntoFuture, ready};

use factum_core::document::DocumentChanges;
use factum_core::metadata::Metadata;
use factum_core::position::Version;
use factum_core::record::RecordedEvent;
use futures_util::future::BoxFuture;
use tracing::{Instrument as _, Span, debug, debug_span, field};
use uuid::Uuid;

use crate::command::Decide;
use crate::domain::error::error_chain;
use crate::engine::command_key::CommandKey;
use crate::engine::core::EngineCore;
use crate::engine::execute_error::ExecuteError;
use crate::engine::execution_loop::{CommandRequest, Execution};
use crate::engine::receipt::Receipt;
use crate::metrics::{self, OutcomeLabel, Stopwatch};

/// A command that is executed when awaited.
///
/// Created by [`Engine::execute`](crate::engine::Engine::execute).
#[must_use = "a command does nothing until awaited"]
pub struct Execute<'e, C> {
    engine: &'e EngineCore,
    request: CommandRequest<C>,
}

impl<'e, C: Decide> Execute<'e, C> {
    pub(crate) fn new(engine: &'e EngineCore, command: C) -> Self {
        Self {
            engine,
            request: CommandRequest {
                command,
                metadata: Metadata::default(),
                key: None,
                expected: None,
                consumed: DocumentChanges::new(),
            },
        }
    }

    /// Sets the actor: the user or the program that issues the command.
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.request.metadata.actor = Some(actor.into());
        self
    }

    /// Sets the reason, in the actor's words.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.request.metadata.reason = Some(reason.into());
        self
    }

    /// Sets the event that caused the command.
    ///
    /// The command takes over the correlation id of the event, and its tenant and trace context unless they are set. In
    /// the [tree of causes](crate::engine::Engine::causality), its events are below that event.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # async fn run<C: Decide, E>(engine: Engine, remind: C, event: Recorded<E>) -> Result<(), ExecuteError<C::Error>> {
    /// engine.execute(remind).caused_by(&event).by("reminders").await?;
    /// # Ok(()) }
    /// ```
    pub fn caused_by(mut self, event: impl AsRef<RecordedEvent>) -> Self {
        self.request.metadata = self.request.metadata.caused_by(event.as_ref());
        self
    }

    /// Sets the correlation id, which all consequences of one request share. The default is a new UUIDv7.
    ///
    /// The time in a UUIDv7 makes the tree of causes cheaper to find.
    pub fn correlation(mut self, id: Uuid) -> Self {
        self.request.metadata.correlation_id = Some(id);
        self
    }

    /// Sets the W3C trace context of the request: the value of its header `traceparent`.
    pub fn trace_parent(mut self, context: impl Into<String>) -> Self {
        self.request.metadata.trace_parent = Some(context.into());
        self
    }

    /// Sets the tenant, in an application that serves several isolated customers.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.request.metadata.tenant = Some(tenant.into());
        self
    }

    /// Adds the fields that `metadata` sets, and its entries in `extra`. Other fields stay as they are.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # use factum::store::Metadata;
    /// # async fn run<C: Decide>(engine: Engine, withdraw: C, request: Metadata) -> Result<(), ExecuteError<C::Error>> {
    /// engine.execute(withdraw).by("alice").metadata(request).await?;
    /// # Ok(()) }
    /// ```
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.request.metadata = self.request.metadata.merged_with(metadata);
        self
    }

    /// Calls `set` with `value`, if there is one.
    ///
    /// ```no_run
    /// # use factum::engine::Execute;
    /// # use factum::prelude::*;
    /// # async fn run<C: Decide>(
    /// #     engine: Engine, withdraw: C, reason: Option<String>, key: Option<&str>,
    /// # ) -> Result<(), ExecuteError<C::Error>> {
    /// engine
    ///     .execute(withdraw)
    ///     .maybe(reason, Execute::because)
    ///     .maybe(key, Execute::idempotency_key)
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn maybe<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }

    /// Sets the idempotency key, 1 to 256 bytes. Keys that begin with `factum/` are reserved.
    ///
    /// The same key with the same command returns the first receipt, also after a restart, and also if the command
    /// would be rejected now. The same key with another command is an error.
    ///
    /// Two commands are the same if their names and the values of their fields are equal. The order of fields, and of
    /// entries in maps and sets, does not matter. `None` is the same as a missing field, and so is the default of a
    /// field with `#[serde(default)]`. Fields with `#[fingerprint(skip)]` are not compared. Commands of different schema
    /// versions are not compared by their fields.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.request.key = Some(CommandKey::Caller(key.into()));
        self
    }

    /// Sets a key of the framework, which no caller can use.
    #[doc(hidden)]
    pub fn framework_key(mut self, key: &str) -> Self {
        self.request.key = Some(CommandKey::framework(key));
        self
    }

    /// Requires that the command's first stream is at `version`.
    ///
    /// If the stream has another version, the result is a conflict without a retry.
    pub fn expected_version(mut self, version: impl Into<Version>) -> Self {
        self.request.expected = Some(version.into());
        self
    }

    /// Adds document changes to the append.
    ///
    /// If a required revision does not match, the result is a conflict without a retry.
    #[doc(hidden)]
    pub fn consuming(mut self, changes: DocumentChanges) -> Self {
        self.request.consumed = changes;
        self
    }
}

impl<'e, C: Decide> IntoFuture for Execute<'e, C> {
    type Output = Result<Receipt, ExecuteError<C::Error>>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let started = Stopwatch::start();
        let span = debug_span!(
            "execute",
            command = C::NAME,
            correlation = field::Empty,
            streams = field::Empty,
            attempts = field::Empty,
            position = field::Empty,
            outcome = field::Empty,
        );
        // Prepared outside of the future, so that the future does not contain the request as well.
        let prepared = span.in_scope(|| Execution::new(self.engine, self.request));
        let mut execution = match prepared {
            Ok(execution) => execution,
            Err(error) => {
                span.in_scope(|| record_failure::<C>(&error, started));
                return Box::pin(ready(Err(error)));
            }
        };
        execution.record_in(&span);
        let run = async move {
            let receipt = match execution.run().await {
                Ok(receipt) => receipt,
                Err(error) => {
                    record_failure::<C>(&error, started);
                    return Err(error);
                }
            };
            let outcome = match receipt.repeated() {
                true => OutcomeLabel::Repeated,
                false => OutcomeLabel::Done,
            };
            metrics::record_command::<C>(outcome, started);
            let span = Span::current();
            span.record("outcome", outcome.as_str());
            span.record("attempts", receipt.attempts());
            span.record("position", receipt.position().get());
            debug!(events = receipt.events().len(), "command executed");
            Ok(receipt)
        };
        Box::pin(run.instrument(span))
    }
}

/// Records the outcome of a command that was not executed, in metrics, the current span and an event.
fn record_failure<C: Decide>(error: &ExecuteError<C::Error>, started: Stopwatch) {
    let outcome = outcome_of(error);
    metrics::record_command::<C>(outcome, started);
    let span = Span::current();
    span.record("outcome", outcome.as_str());
    if let ExecuteError::Conflict { attempts, .. } = error {
        span.record("attempts", attempts);
    }
    let (outcome, error) = (outcome.as_str(), error_chain(error));
    debug!(outcome, error, "command not executed");
}

fn outcome_of<E: std::error::Error>(error: &ExecuteError<E>) -> OutcomeLabel {
    match error {
        ExecuteError::Rejected(_) => OutcomeLabel::Rejected,
        ExecuteError::Conflict { .. } => OutcomeLabel::Conflict,
        ExecuteError::DuplicateStream { .. }
        | ExecuteError::InvalidAppend(_)
        | ExecuteError::InvalidTarget(_)
        | ExecuteError::KeyReused { .. }
        | ExecuteError::ReservedKey { .. } => OutcomeLabel::Invalid,
        _ => OutcomeLabel::Failed,
    }
}
