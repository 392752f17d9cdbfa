//! [`Execution`]: the execution of one command, as a state machine.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use factum_core::append::{
    Append, AppendCondition, AppendError, Appended, Conflict, ExpectedVersion, IdempotencyKey,
    Violation,
};
use factum_core::document::DocumentChanges;
use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::projection_scope::check_outside_projection;
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span, debug, debug_span, field, warn};
use uuid::Uuid;

use crate::clock::Clock as _;
use crate::command::Decide;
use crate::command::boundary::{Boundary as _, DecisionPlaces};
use crate::command::part::{QueryPart, find_duplicate, streams_of};
use crate::command::tag_check::check_tags;
use crate::domain::codec::Encoder;
use crate::domain::error::StoreError;
use crate::engine::append_chain::{AppendChain, Dependency};
use crate::engine::command_key::CommandKey;
use crate::engine::core::EngineCore;
use crate::engine::decision_context::{Decision, DecisionContext, Parts, list_parts};
use crate::engine::encode_deadlines::{encode_deadlines, merge_consumed};
use crate::engine::execute_error::ExecuteError;
use crate::engine::find_streams::FindStreams;
use crate::engine::pipelined_append::PipelinedAppend;
use crate::engine::receipt::Receipt;
use crate::engine::stream_queues::Streams;
use crate::metrics::{self, RetryCause};
use crate::state::load_error::LoadError;

/// A command and the settings of its execution.
pub struct CommandRequest<C> {
    /// The command.
    pub command: C,
    /// The metadata of its events.
    pub metadata: Metadata,
    /// The idempotency key.
    pub key: Option<CommandKey>,
    /// The version that the caller expects of the first stream.
    pub expected: Option<Version>,
    /// The document changes that the append makes besides those of the decision.
    pub consumed: DocumentChanges,
}

/// The execution of one command: load, decide and append.
///
/// It retries after a conflict or a failure of the store.
pub struct Execution<'e, C: Decide> {
    engine: &'e EngineCore,
    command: C,
    expected: Option<Version>,
    key: Option<IdempotencyKey>,
    consumed: DocumentChanges,
    /// The streams that the command names.
    streams: Streams,
    parts: Parts<C>,
    encoder: Encoder,
    /// The number of times that the command was decided since the last failure of the store.
    attempts: u32,
    store_failures: StoreFailures,
}

/// The failures of the store during an execution.
struct StoreFailures {
    /// The time at which the execution started.
    started: Instant,
    /// The number of tries, including the current one.
    tries: u32,
    /// The first error after which it is not known whether the command was executed.
    interrupted: Option<StoreError>,
}

/// A phase of an execution.
///
/// Each phase returns the next phase, or an error, which leads to [`Phase::Failed`].
enum Phase<'e, C: Decide> {
    /// Loads the state of all parts.
    Load,
    /// Decides on the loaded state.
    Decide(DecisionContext<'e>),
    /// Checks that a result without an append is based on the current state.
    Confirm(DecisionContext<'e>, Unstored<C::Error>),
    /// Appends the decision.
    Append(DecisionContext<'e>, Decided<C>),
    /// Waits after a conflict, and updates the state.
    Resolve(Conflict, Recovery<'e>),
    /// Chooses between a retry, the first result and the error.
    Failed(ExecuteError<C::Error>),
    /// Waits until the store may be available again.
    AwaitStore(StoreError),
    /// Looks for the result of an earlier execution with the same idempotency key.
    FindFirstResult(ExecuteError<C::Error>),
    /// The execution is complete.
    Done(Result<Receipt, ExecuteError<C::Error>>),
}

type PhaseResult<'e, C> = Result<Phase<'e, C>, ExecuteError<<C as Decide>::Error>>;

/// A result that stores nothing.
enum Unstored<E> {
    /// The first stream is not at the version that the caller expects.
    UnexpectedVersion(Conflict),
    /// The domain rejected the command.
    Rejected(E),
    /// The decision has no events and changes no documents.
    Unchanged,
}

/// A decision, encoded for the append.
struct Decided<C: Decide> {
    decision: Decision<C>,
    /// The streams and events.
    encoded: Append,
    changes: DocumentChanges,
    /// The time at which the first deadline that the decision sets is due.
    next_deadline: Option<Timestamp>,
}

/// The way to update the state after a conflict.
enum Recovery<'e> {
    /// Applies the newer events; the execution still has its permits.
    Refresh(DecisionContext<'e>),
    /// Loads the state again, because the append was pipelined and has released its permits.
    Reload,
}

/// The result of an append that succeeded.
enum StoredAppend {
    Stored {
        receipt: Receipt,
        /// The position before the first event.
        head: Position,
    },
    /// The first result of the same idempotency key. Nothing was stored now.
    Repeated(Appended),
}

type InFlight<'e> = Instrumented<BoxFuture<'e, Result<Appended, AppendError>>>;

impl<'e, C: Decide> Execution<'e, C> {
    /// Prepares the execution of a command. Does not use the store.
    pub fn new(
        engine: &'e EngineCore,
        request: CommandRequest<C>,
    ) -> Result<Self, ExecuteError<C::Error>> {
        let command = request.command;
        let mut parts = C::On::parts(command.target())?;
        check_tags::<C>(&mut parts)?;
        let streams = distinct_streams::<C>(&mut parts)?;
        let key = match &request.key {
            Some(key) => Some(key.for_command(&command)?),
            None => None,
        };
        let (mut ids, mut metadata) = (EventIdGenerator::now(), request.metadata);
        metadata.correlation_id.get_or_insert_with(|| ids.next_id());
        let metadata = Arc::new(metadata);
        Ok(Self {
            engine,
            command,
            expected: request.expected,
            key,
            consumed: request.consumed,
            streams,
            parts,
            encoder: Encoder {
                ids,
                metadata,
                verification: engine.verification,
            },
            attempts: 0,
            store_failures: StoreFailures {
                started: Instant::now(),
                tries: 1,
                interrupted: None,
            },
        })
    }

    /// Records the streams and the correlation id of the command in `span`.
    pub fn record_in(&mut self, span: &Span) {
        if let Some(correlation) = &self.encoder.metadata.correlation_id {
            span.record("correlation", field::display(correlation));
        }
        if !C::On::FINDS {
            self.record_streams(span);
        }
    }

    /// Records the streams of the command in `span`, also the found streams.
    fn record_streams(&mut self, span: &Span) {
        let parts = list_parts::<C>(&mut self.parts);
        let streams: Vec<_> = parts.iter().filter_map(|part| part.stream()).collect();
        span.record("streams", field::debug(streams));
    }

    /// Executes the command.
    ///
    /// The phases that few commands need are boxed, so that the future stays small.
    pub async fn run(&mut self) -> Result<Receipt, ExecuteError<C::Error>> {
        // The store checks this as well, but a command may wait for its stream before it comes to the store.
        check_outside_projection()?;
        let mut phase = Phase::Load;
        loop {
            let next = match phase {
                Phase::Load => match self.load_cached() {
                    Some(context) => Ok(Phase::Decide(context)),
                    None => Box::pin(self.load()).await,
                },
                Phase::Decide(context) => self.decide(context),
                Phase::Confirm(context, unstored) => {
                    Box::pin(self.confirm(context, unstored)).await
                }
                Phase::Append(context, decided) => self.append(context, decided).await,
                Phase::Resolve(conflict, recovery) => {
                    Box::pin(self.resolve(conflict, recovery)).await
                }
                Phase::Failed(error) => {
                    self.release_query_states();
                    Ok(self.after_failure(error))
                }
                Phase::AwaitStore(error) => Ok(Box::pin(self.await_store(error)).await),
                Phase::FindFirstResult(error) => Box::pin(self.find_first_result(error)).await,
                Phase::Done(result) => {
                    if C::On::FINDS {
                        self.record_streams(&Span::current());
                    }
                    return result;
                }
            };
            phase = next.unwrap_or_else(Phase::Failed);
        }
    }

    fn load_cached(&mut self) -> Option<DecisionContext<'e>> {
        if C::On::FINDS {
            return self.find_streams().load_cached();
        }
        DecisionContext::from_cache::<C>(self.engine, &self.streams, &mut self.parts)
    }

    async fn load(&mut self) -> PhaseResult<'e, C> {
        // Commands that hold the streams may wait for the shared state of the query.
        self.release_query_states();
        if C::On::FINDS {
            return self.find_and_load().await;
        }
        let streams = self.streams.clone();
        let load = DecisionContext::load::<C>(self.engine, streams, &mut self.parts);
        Ok(Phase::Decide(load.instrument(debug_span!("load")).await?))
    }

    /// Finds streams in the state of others, and loads all.
    async fn find_and_load(&mut self) -> PhaseResult<'e, C> {
        let load = self.find_streams().load();
        match load.instrument(debug_span!("load")).await {
            Ok(context) => Ok(Phase::Decide(context)),
            // `find` has failed on the current state.
            Err(
                error @ (ExecuteError::DuplicateStream { .. } | ExecuteError::InvalidTarget(_)),
            ) => Err(match self.unexpected_version() {
                Some(conflict) => self.conflict(conflict),
                None => error,
            }),
            Err(error) => Err(error),
        }
    }

    fn find_streams(&mut self) -> FindStreams<'_, 'e, C> {
        FindStreams {
            engine: self.engine,
            command: &self.command,
            named: &self.streams,
            parts: &mut self.parts,
        }
    }

    /// Decides again on a state that has changed.
    fn decide_again(&mut self, context: DecisionContext<'e>) -> Phase<'e, C> {
        match C::On::FINDS && !matches!(self.find_streams().find(), Ok(false)) {
            // Releases the permits that `Load` acquires.
            true => Phase::Load,
            false => Phase::Decide(context),
        }
    }

    /// Lets other commands use the states of queries.
    ///
    /// This command must refresh them before it decides again.
    fn release_query_states(&mut self) {
        if C::On::HAS_QUERIES {
            let mut parts = list_parts::<C>(&mut self.parts);
            let queries = parts.iter_mut().filter_map(|part| part.as_query());
            queries.for_each(QueryPart::release);
        }
    }

    fn decide(&mut self, context: DecisionContext<'e>) -> PhaseResult<'e, C> {
        if let Some(conflict) = self.unexpected_version() {
            return Ok(Phase::Confirm(
                context,
                Unstored::UnexpectedVersion(conflict),
            ));
        }
        self.attempts += 1;
        let decided = debug_span!("decide", attempts = self.attempts).in_scope(|| {
            self.command
                .decide(C::On::state(&self.parts, &|| self.engine.clock.now()))
        });
        self.release_query_states();
        let decision = match decided {
            Ok(decision) => decision,
            Err(rejection) => return Ok(Phase::Confirm(context, Unstored::Rejected(rejection))),
        };
        let mut encoded = Append::default();
        C::On::encode(&self.parts, &decision, &mut self.encoder, &mut encoded)?;
        let mut deadlines = Vec::new();
        C::On::for_each_deadline(&self.parts, &decision, &mut |stream, changes| {
            deadlines.push((stream, changes));
        });
        let (clock, commands) = (&self.engine.clock, &self.engine.deadline_commands);
        let documents = encode_deadlines(&deadlines, &encoded, &mut self.encoder, clock, commands)?;
        let is_unchanged = documents.changes.is_empty() && encoded.events.is_empty();
        // An idempotency key and consumed documents are stored without events, too. The append then checks the
        // versions.
        if is_unchanged && self.key.is_none() && self.consumed.is_empty() {
            return Ok(Phase::Confirm(context, Unstored::Unchanged));
        }
        let decided = Decided {
            decision,
            encoded,
            changes: merge_consumed(documents.changes, &self.consumed),
            next_deadline: documents.next,
        };
        Ok(Phase::Append(context, decided))
    }

    /// Confirms that a result without an append is based on the current state, or decides again.
    async fn confirm(
        &mut self,
        mut context: DecisionContext<'e>,
        unstored: Unstored<C::Error>,
    ) -> PhaseResult<'e, C> {
        let is_current =
            context.is_current || !context.refresh::<C>(self.engine, &mut self.parts).await?;
        if !is_current {
            return Ok(self.decide_again(context));
        }
        self.release_query_states();
        match unstored {
            Unstored::UnexpectedVersion(conflict) => Err(self.conflict(conflict)),
            Unstored::Rejected(rejection) => Err(ExecuteError::Rejected(rejection)),
            Unstored::Unchanged => Ok(Phase::Done(Ok(self.unchanged()))),
        }
    }

    /// Returns the append condition for the events of all queries.
    ///
    /// It begins at the smallest position. It may reject an event that one of the states contains; the next attempt then
    /// reads all of them up to a later position.
    fn condition(&mut self) -> Option<AppendCondition> {
        let mut parts = list_parts::<C>(&mut self.parts);
        let queries = parts.iter_mut().filter_map(|part| part.as_query());
        let conditions = queries.filter_map(|query| query.condition());
        conditions.reduce(|all, next| AppendCondition {
            query: all.query.or(next.query),
            after: all.after.min(next.after),
        })
    }

    async fn append(
        &mut self,
        context: DecisionContext<'e>,
        mut decided: Decided<C>,
    ) -> PhaseResult<'e, C> {
        let condition = self.condition();
        let has_condition = condition.is_some();
        let append = Append {
            condition,
            // Without them, the expected version could have been reached by the events of another engine.
            requires: context.dependencies.last_events(),
            key: self.key.clone(),
            changes: std::mem::take(&mut decided.changes),
            ..decided.encoded.clone()
        };
        let span = debug_span!(
            "append",
            events = append.count(),
            position = field::Empty,
            versions = field::Empty,
        );
        let engine = self.engine;
        let mut in_flight = engine.loader.store.append(append).instrument(span);
        // Stores execute appends in the order in which they were first polled.
        let polled = poll_fn(|task| Poll::Ready(Pin::new(&mut in_flight).poll(task))).await;
        let answer = match polled {
            Poll::Ready(answer) => answer,
            // The append condition of the next command would need a position that is not known yet.
            // A state that needs records cannot be created before the events are stored.
            Poll::Pending
                if !has_condition && !C::On::NEEDS_RECORDS && context.permits.is_contended() =>
            {
                return Box::pin(self.append_pipelined(context, decided, in_flight)).await;
            }
            Poll::Pending => (&mut in_flight).await,
        };
        match self.outcome(answer, decided.encoded, in_flight.span()) {
            Ok(StoredAppend::Stored { receipt, .. }) => {
                self.apply(decided.decision, receipt.events(), context);
                self.notify_alarm(decided.next_deadline);
                Ok(Phase::Done(Ok(receipt)))
            }
            Ok(StoredAppend::Repeated(first)) => Box::pin(self.repeat(first)).await,
            Err(AppendError::Conflict(conflict)) => {
                Ok(Phase::Resolve(conflict, Recovery::Refresh(context)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the append in flight, while the next command decides on the states that it will create.
    async fn append_pipelined(
        &mut self,
        context: DecisionContext<'e>,
        decided: Decided<C>,
        mut in_flight: InFlight<'e>,
    ) -> PhaseResult<'e, C> {
        let pipelined = self.publish(decided.decision, &decided.encoded, context);
        let answer = (&mut in_flight).await;
        match self.outcome(answer, decided.encoded, in_flight.span()) {
            Ok(StoredAppend::Stored { receipt, head }) => {
                pipelined.resolve_stored(head);
                self.notify_alarm(decided.next_deadline);
                Ok(Phase::Done(Ok(receipt)))
            }
            Ok(StoredAppend::Repeated(first)) => {
                drop(pipelined);
                self.repeat(first).await
            }
            Err(AppendError::Conflict(conflict)) => Ok(Phase::Resolve(conflict, Recovery::Reload)),
            Err(error) => Err(error.into()),
        }
    }

    async fn resolve(&mut self, conflict: Conflict, recovery: Recovery<'e>) -> PhaseResult<'e, C> {
        // Consumed documents do not come back, so a retry is pointless.
        if conflict.has_document_violation() {
            return Err(self.conflict(conflict));
        }
        let (attempts, retry) = (self.attempts, &self.engine.retry);
        debug!(attempts, %conflict, "append conflicted with another writer");
        metrics::record_conflict::<C>();
        if attempts >= retry.attempts {
            return Err(self.conflict(conflict));
        }
        // With an expected version, the load that follows reports a conflict at once if the version is another one.
        if self.expected.is_none() {
            let pause = retry.pause(attempts);
            debug!(attempts, ?pause, "retrying the command after a conflict");
            metrics::record_retry::<C>(RetryCause::Conflict);
            sleep(pause).await;
        }
        let was_shorter = self.evict_shorter_streams(&conflict);
        match recovery {
            Recovery::Refresh(mut context) if !was_shorter => {
                context.refresh::<C>(self.engine, &mut self.parts).await?;
                context.is_current = false;
                Ok(self.decide_again(context))
            }
            recovery => {
                // Releases the permits that `load` acquires.
                drop(recovery);
                self.load().await
            }
        }
    }

    /// Evicts the streams that are shorter than their states, and returns whether there were any.
    ///
    /// Such a stream was restored from a backup, or the append before a pipelined one has failed.
    fn evict_shorter_streams(&self, conflict: &Conflict) -> bool {
        let mut was_shorter = false;
        for violation in &conflict.violations {
            if let Violation::Version {
                stream,
                expected: ExpectedVersion::Exact(expected),
                actual,
            } = violation
                && actual < expected
            {
                debug!(%stream, %expected, %actual, "stream is shorter than its state; loading it again");
                self.engine.loader.cache.remove(stream);
                was_shorter = true;
            }
        }
        was_shorter
    }

    fn after_failure(&self, error: ExecuteError<C::Error>) -> Phase<'e, C> {
        match error {
            ExecuteError::Store(error) => Phase::AwaitStore(error),
            // Another execution of the same request may have succeeded, and then its result counts.
            error if self.key.is_some() && !matches!(error, ExecuteError::KeyReused { .. }) => {
                Phase::FindFirstResult(error)
            }
            error => Phase::Done(Err(error)),
        }
    }

    /// Waits before a retry, if the retry policy allows it and it cannot execute the command twice.
    async fn await_store(&mut self, error: StoreError) -> Phase<'e, C> {
        let (failures, retry) = (&mut self.store_failures, &self.engine.retry);
        let is_safe = match error {
            StoreError::Unavailable(_) => true,
            StoreError::Interrupted(_) => self.key.is_some(),
            _ => false,
        };
        if !is_safe
            || failures.tries >= retry.attempts
            || failures.started.elapsed() >= retry.max_outage()
        {
            let error = match (error, failures.interrupted.take()) {
                // This try did nothing, but an earlier one may have executed the command.
                (StoreError::Unavailable(_), Some(interrupted)) => interrupted,
                (error, _) => error,
            };
            return Phase::Done(Err(error.into()));
        }
        let tries = failures.tries;
        warn!(tries, %error, "store unavailable; retrying the command");
        metrics::record_retry::<C>(RetryCause::Store);
        sleep(retry.pause(tries)).await;
        failures.tries += 1;
        if matches!(error, StoreError::Interrupted(_)) {
            failures.interrupted = Some(error);
        }
        self.attempts = 0;
        Phase::Load
    }

    async fn find_first_result(&mut self, error: ExecuteError<C::Error>) -> PhaseResult<'e, C> {
        let Some(key) = &self.key else {
            return Ok(Phase::Done(Err(error)));
        };
        match self.engine.loader.store.find(key).await {
            Ok(Some(first)) => self.repeat(first).await,
            Ok(None) => Ok(Phase::Done(Err(error))),
            Err(AppendError::Store(error)) => Err(LoadError::Store(error).into()),
            // Not through `Failed`, which would look up the key again.
            Err(error) => Ok(Phase::Done(Err(error.into()))),
        }
    }

    async fn repeat(&self, first: Appended) -> PhaseResult<'e, C> {
        let store = &*self.engine.loader.store;
        let receipt = Receipt::repeat(store, first, &self.streams).await?;
        Ok(Phase::Done(Ok(receipt)))
    }

    /// Returns a conflict if the first stream is not at the version that the caller expects.
    fn unexpected_version(&mut self) -> Option<Conflict> {
        let expected = self.expected?;
        let parts = list_parts::<C>(&mut self.parts);
        let first = parts.iter().find(|part| part.stream().is_some())?;
        let violation = Violation::Version {
            stream: first.stream()?.clone(),
            expected: ExpectedVersion::Exact(expected),
            actual: first.version(),
        };
        (first.version() != expected).then(|| Conflict {
            violations: vec![violation],
        })
    }

    fn conflict(&self, conflict: Conflict) -> ExecuteError<C::Error> {
        ExecuteError::Conflict {
            conflict,
            attempts: self.attempts,
        }
    }

    fn unchanged(&mut self) -> Receipt {
        let parts = list_parts::<C>(&mut self.parts);
        let versions = parts
            .iter()
            .filter_map(|part| Some((part.stream()?.clone(), part.version())));
        let position = parts.iter().map(|part| part.position()).max();
        Receipt::unchanged(
            position.unwrap_or_default(),
            versions.collect(),
            self.attempts,
        )
    }

    fn outcome(
        &self,
        answer: Result<Appended, AppendError>,
        encoded: Append,
        span: &Span,
    ) -> Result<StoredAppend, AppendError> {
        let appended = answer?;
        span.record("position", appended.position.get());
        span.record("versions", field::debug(&appended.versions));
        if appended.repeated {
            return Ok(StoredAppend::Repeated(appended));
        }
        let head = Position::new(appended.position.get() - appended.count);
        let receipt = Receipt::appended(&appended, encoded, self.attempts);
        Ok(StoredAppend::Stored { receipt, head })
    }

    /// Applies the stored decision to the states, and saves the states in the cache.
    ///
    /// The permits are released afterwards.
    fn apply(
        &mut self,
        decision: Decision<C>,
        records: &[RecordedEvent],
        mut context: DecisionContext<'e>,
    ) {
        let loader = &self.engine.loader;
        let mut previous: Vec<Version> = Vec::new();
        for part in list_parts::<C>(&mut self.parts) {
            previous.push(part.version());
            part.release_cached();
            if let Some(stream) = part.stream() {
                context.permits.set_pipelined(stream, None);
            }
        }
        let mut places = DecisionPlaces::stored(records);
        C::On::apply_decision(&mut self.parts, decision, &mut places);
        let parts = list_parts::<C>(&mut self.parts).into_iter().zip(previous);
        for (part, previous) in parts {
            let dependency = part
                .stream()
                .and_then(|stream| context.dependencies.take(stream));
            // An unchanged state of a pipelined append has no position yet. That append saves it.
            if dependency.is_none() || part.version() > previous {
                part.keep(loader, previous);
            }
        }
    }

    /// Applies the decision in flight to the states, and passes them to the next commands.
    fn publish(
        &mut self,
        decision: Decision<C>,
        encoded: &Append,
        mut context: DecisionContext<'e>,
    ) -> PipelinedAppend<'e> {
        let mut previous: Vec<Version> = Vec::new();
        for part in list_parts::<C>(&mut self.parts) {
            previous.push(part.version());
            if let Some(stream) = part.stream() {
                context.permits.set_pipelined(stream, None);
            }
        }
        let mut places = DecisionPlaces::Pending(Position::ZERO);
        C::On::apply_decision(&mut self.parts, decision, &mut places);
        let mut pipelined = PipelinedAppend::new(self.engine);
        let parts = list_parts::<C>(&mut self.parts).into_iter().zip(previous);
        for (part, previous) in parts {
            let Some(stream) = part.stream() else {
                continue;
            };
            let dependency = match last_event(encoded, stream) {
                Some(last_event) => {
                    let chain = context
                        .dependencies
                        .take(stream)
                        .map(|earlier| earlier.chain);
                    let chain = chain.unwrap_or_else(|| Arc::new(AppendChain::new()));
                    Some(Dependency { chain, last_event })
                }
                // The decision has not changed the state, which still depends on the append that created it.
                None => context.dependencies.take(stream),
            };
            if let Some(dependency) = dependency {
                pipelined.publish(part, previous, dependency, &mut context.permits);
            }
        }
        pipelined
    }

    fn notify_alarm(&self, next_deadline: Option<Timestamp>) {
        if let Some(due) = next_deadline {
            self.engine.alarm.notify(due);
        }
    }
}

/// Returns the id of the last event of an append to `stream`.
fn last_event(encoded: &Append, stream: &StreamId) -> Option<Uuid> {
    let mut newest_first = encoded.events.iter().rev();
    let last = newest_first.find(|event| encoded.stream_of(event) == stream)?;
    Some(last.event.id)
}

/// Sleeps before a retry; returns at once outside a Tokio runtime, which has no timer.
async fn sleep(pause: Duration) {
    if Handle::try_current().is_ok() {
        tokio::time::sleep(pause).await;
    }
}

/// Returns the streams of a command, which must be distinct.
fn distinct_streams<C: Decide>(parts: &mut Parts<C>) -> Result<Streams, ExecuteError<C::Error>> {
    let streams = streams_of(&list_parts::<C>(parts));
    if let Some(stream) = find_duplicate(&streams) {
        let stream = stream.clone();
        return Err(ExecuteError::DuplicateStream { stream });
    }
    Ok(streams)
}
