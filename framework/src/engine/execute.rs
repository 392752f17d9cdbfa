//! Executing a command: load, decide, append, and again on a conflict.

use std::future::IntoFuture;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tracing::{Instrument as _, debug, field, warn};
use uuid::Uuid;

use super::execute_error::ExecuteError;
use super::receipt::Receipt;
use super::source::LoadError;
use super::{Engine, Inner};
use crate::append::{Append, Expected, IdempotencyKey};
use crate::boundary::{Boundary, Part};
use crate::command::Decide;
use crate::error::{AppendError, Conflict, EncodeError, StoreError, Violation};
use crate::metadata::Metadata;
use crate::place::{Position, Version};
use crate::stream::StreamId;

/// A command on its way; await it. Made by [`Engine::execute`](crate::Engine::execute).
#[must_use = "a command does nothing until awaited"]
pub struct Execute<'e, C> {
    engine: &'e Engine,
    command: C,
    metadata: Metadata,
    key: Option<String>,
    expected: Option<Version>,
}

impl<'e, C: Decide> Execute<'e, C> {
    pub(super) fn new(engine: &'e Engine, command: C) -> Self {
        Self {
            engine,
            command,
            metadata: Metadata::default(),
            key: None,
            expected: None,
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
    pub fn expecting(mut self, version: impl Into<Version>) -> Self {
        self.expected = Some(version.into());
        self
    }

    async fn run(self) -> Result<Receipt, ExecuteError<C::Error>> {
        let mut slots = C::On::slots(self.command.target())?;
        let streams = streams::<C>(&mut slots)?;
        let inner = &*self.engine.0;
        let span = tracing::Span::current();
        span.record("streams", field::debug(&streams));
        let key = self.idempotency_key_of_command()?;
        let turn = inner.queue.turn(streams.clone()).await;
        let attempt = Attempt {
            execute: &self,
            streams,
            key,
            inner,
        };
        let receipt = attempt.while_safe(&mut slots).await?;
        drop(turn);
        span.record("attempts", receipt.attempts());
        span.record("position", receipt.position().get());
        debug!(events = receipt.events().len(), "executed");
        Ok(receipt)
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

    fn into_future(mut self) -> Self::IntoFuture {
        self.metadata
            .correlation_id
            .get_or_insert_with(Uuid::now_v7);
        let span = tracing::debug_span!(
            "execute",
            command = C::NAME,
            streams = field::Empty,
            attempts = field::Empty,
            position = field::Empty,
        );
        Box::pin(self.run().instrument(span))
    }
}

/// What stays the same while a command is decided again and again.
struct Attempt<'a, 'e, C> {
    execute: &'a Execute<'e, C>,
    /// What the command looks at.
    streams: Vec<StreamId>,
    key: Option<IdempotencyKey>,
    inner: &'a Inner,
}

type Slots<C> = <<C as crate::command::Command>::On as Boundary>::Slots;

impl<C: Decide> Attempt<'_, '_, C> {
    /// Tries again when the store was not there, as long as the command cannot happen twice by it.
    async fn while_safe(&self, slots: &mut Slots<C>) -> Result<Receipt, ExecuteError<C::Error>> {
        let retry = &self.inner.retry;
        let began = Instant::now();
        let mut tries = 1;
        loop {
            let error = match self.once(slots).await {
                Err(ExecuteError::Store(error)) => error,
                done => return done,
            };
            let safe = match error {
                StoreError::Unavailable(_) => true,
                StoreError::Interrupted(_) => self.key.is_some(),
                _ => false,
            };
            if !safe || tries >= retry.attempts || began.elapsed() >= retry.patience() {
                return Err(error.into());
            }
            warn!(tries, error = %error, "the store was not there, trying again");
            tokio::time::sleep(retry.pause(tries)).await;
            tries += 1;
        }
    }

    async fn once(&self, slots: &mut Slots<C>) -> Result<Receipt, ExecuteError<C::Error>> {
        if let Some(first) = self.first_answer().await? {
            return Ok(first);
        }
        match self.until_done(slots).await {
            // Another process may have got the same request done behind the look at the key: what it did
            // is no reason to refuse it.
            Err(no @ (ExecuteError::Refused(_) | ExecuteError::Conflict { .. })) => {
                self.first_answer().await?.ok_or(no)
            }
            done => done,
        }
    }

    async fn until_done(&self, slots: &mut Slots<C>) -> Result<Receipt, ExecuteError<C::Error>> {
        let metadata = std::sync::Arc::new(self.execute.metadata.clone());
        let mut current = load::<C>(self.inner, slots).await?;
        let mut attempts = 0;
        loop {
            if let Some(conflict) = self.unexpected(slots) {
                if !current && refresh::<C>(self.inner, slots).await? {
                    continue;
                }
                return Err(ExecuteError::Conflict { conflict, attempts });
            }
            attempts += 1;
            let decided = self.execute.command.decide(C::On::state(slots));
            // A refusal, or that nothing needs to happen, must not rest on a state that has moved on.
            let mut streams = Vec::new();
            if let Ok(decision) = &decided {
                C::On::encode(slots, decision, &metadata, &mut streams)?;
            }
            let nothing = streams.iter().all(|part| part.events.is_empty());
            if nothing && !current && refresh::<C>(self.inner, slots).await? {
                continue;
            }
            let decision = decided.map_err(ExecuteError::Refused)?;
            if nothing && self.key.is_none() {
                return Ok(unchanged::<C>(slots, attempts));
            }
            let conflict = match self.append(slots, streams, attempts).await {
                Ok((receipt, None)) => return Ok(receipt),
                Ok((receipt, Some(head))) => {
                    settle::<C>(self.inner, slots, decision, head);
                    return Ok(receipt);
                }
                Err(AppendError::Conflict(conflict)) => conflict,
                Err(error) => return Err(error.into()),
            };
            debug!(attempts, %conflict, "decided on a state that has moved on");
            if self.execute.expected.is_none() {
                if attempts >= self.inner.retry.attempts {
                    return Err(ExecuteError::Conflict { conflict, attempts });
                }
                tokio::time::sleep(self.inner.retry.pause(attempts)).await;
            }
            refresh::<C>(self.inner, slots).await?;
            current = false;
        }
    }

    /// The answer that was given to the key before, here or in another process.
    async fn first_answer(&self) -> Result<Option<Receipt>, ExecuteError<C::Error>> {
        let store = &*self.inner.source.store;
        let Some(key) = &self.key else {
            return Ok(None);
        };
        match store.find(key).await? {
            Some(first) => Ok(Some(Receipt::again(store, first, &self.streams).await?)),
            None => Ok(None),
        }
    }

    /// How the first stream differs from what the caller expects.
    fn unexpected(&self, slots: &mut Slots<C>) -> Option<Conflict> {
        let expected = self.execute.expected?;
        let parts = parts::<C>(slots);
        let first = parts.iter().find(|part| part.stream().is_some())?;
        let violation = Violation::Version {
            stream: first.stream()?.clone(),
            expected: Expected::Exact(expected),
            actual: first.version(),
        };
        (first.version() != expected).then(|| Conflict {
            violations: vec![violation],
        })
    }

    /// The receipt and the position ahead of the new events; no position if nothing was stored now.
    async fn append(
        &self,
        slots: &mut Slots<C>,
        streams: Vec<crate::append::StreamAppend>,
        attempts: u32,
    ) -> Result<(Receipt, Option<Position>), AppendError> {
        let condition = parts::<C>(slots).iter().find_map(|part| part.condition());
        let append = Append {
            streams: streams.clone(),
            condition,
            key: self.key.clone(),
        };
        let span = tracing::debug_span!(
            "append",
            events = append.count(),
            position = field::Empty,
            versions = field::Empty,
        );
        let store = &self.inner.source.store;
        let appended = store.append(append).instrument(span.clone()).await?;
        span.record("position", appended.position.get());
        span.record("versions", field::debug(&appended.versions));
        if appended.repeated {
            let receipt = Receipt::again(&**store, appended, &self.streams).await?;
            return Ok((receipt, None));
        }
        let head = Position::new(appended.position.get() - appended.count);
        Ok((Receipt::stored(&appended, streams, attempts), Some(head)))
    }
}

fn parts<C: Decide>(slots: &mut Slots<C>) -> Vec<&mut dyn Part> {
    let mut parts = Vec::new();
    C::On::parts(slots, &mut parts);
    parts
}

/// The streams, each of which a command may name only once.
fn streams<C: Decide>(slots: &mut Slots<C>) -> Result<Vec<StreamId>, ExecuteError<C::Error>> {
    let mut streams: Vec<StreamId> = Vec::new();
    for part in parts::<C>(slots) {
        let Some(stream) = part.stream() else {
            continue;
        };
        if streams.contains(stream) {
            return Err(ExecuteError::SameStream {
                stream: stream.clone(),
            });
        }
        streams.push(stream.clone());
    }
    Ok(streams)
}

/// Loads every part. `true`: the state as a whole was current at one moment since the command came in.
async fn load<C: Decide>(inner: &Inner, slots: &mut Slots<C>) -> Result<bool, LoadError> {
    let mut parts = parts::<C>(slots);
    let mut current = parts.len() == 1;
    for part in &mut parts {
        if part.load_warm(&inner.source) {
            current = false;
        } else {
            part.load(&inner.source).await?;
        }
    }
    Ok(current)
}

/// Reads what is new in every part. `false`: nothing, so the state was current at one moment.
async fn refresh<C: Decide>(inner: &Inner, slots: &mut Slots<C>) -> Result<bool, LoadError> {
    let mut changed = false;
    for part in parts::<C>(slots) {
        changed |= part.refresh(&inner.source).await?;
    }
    Ok(changed)
}

/// Takes a stored decision into the states, and keeps them warm.
fn settle<C: Decide>(
    inner: &Inner,
    slots: &mut Slots<C>,
    decision: <C::On as Boundary>::Decision,
    mut head: Position,
) {
    let seen: Vec<Version> = parts::<C>(slots)
        .iter()
        .map(|part| {
            if let Some(stream) = part.stream() {
                inner.source.cache.release(stream);
            }
            part.version()
        })
        .collect();
    C::On::settle(slots, decision, &mut head);
    for (part, seen) in parts::<C>(slots).into_iter().zip(seen) {
        part.keep(&inner.source, seen);
    }
}

fn unchanged<C: Decide>(slots: &mut Slots<C>, attempts: u32) -> Receipt {
    let parts = parts::<C>(slots);
    let versions = parts
        .iter()
        .filter_map(|part| Some((part.stream()?.clone(), part.version())));
    let position = parts
        .iter()
        .map(|part| part.position())
        .max()
        .unwrap_or_default();
    Receipt::nothing(position, versions.collect(), attempts)
}
