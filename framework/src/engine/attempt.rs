//! [`Attempt`]: load, decide, append, and again on a conflict.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tracing::{Instrument as _, Span, debug, field, warn};

use super::Inner;
use super::ahead::{Chain, GoneAhead};
use super::execute::Execute;
use super::execute_error::ExecuteError;
use super::parts::{Decision, Slots, parts, unchanged};
use super::queue::Turn;
use super::receipt::Receipt;
use super::source::LoadError;
use crate::append::{Append, Appended, Expected, IdempotencyKey, StreamAppend};
use crate::boundary::Boundary;
use crate::codec::Encoder;
use crate::command::Decide;
use crate::error::{AppendError, Conflict, StoreError, Violation};
use crate::few::Few;
use crate::place::Position;
use crate::stream::StreamId;

/// What stays the same while a command is decided again and again.
pub(super) struct Attempt<'a, 'e, C> {
    pub(super) execute: &'a Execute<'e, C>,
    /// What the command looks at.
    pub(super) streams: Few<StreamId>,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) inner: &'a Inner,
}

/// What a command stands on.
struct Ground<'q> {
    turn: Turn<'q>,
    /// The state as a whole was current at one moment since the command came in.
    current: bool,
    /// What the state of each part rests on, if on an append that is on its way.
    chains: Few<Option<Arc<Chain>>>,
}

/// A decision in both its forms.
struct Decided<C: Decide> {
    decision: Decision<C>,
    streams: Vec<StreamAppend>,
    attempts: u32,
}

impl<C: Decide> Attempt<'_, '_, C> {
    /// Tries again when the store was not there, as long as the command cannot happen twice by it.
    pub(super) async fn while_safe(
        &self,
        slots: &mut Slots<C>,
        encoder: &mut Encoder,
    ) -> Result<Receipt, ExecuteError<C::Error>> {
        let retry = &self.inner.retry;
        let began = Instant::now();
        let mut tries = 1;
        let mut lost = None;
        loop {
            let error = match self.once(slots, encoder).await {
                Err(ExecuteError::Store(error)) => error,
                done => return done,
            };
            let safe = match error {
                StoreError::Unavailable(_) => true,
                StoreError::Interrupted(_) => self.key.is_some(),
                _ => false,
            };
            if !safe || tries >= retry.attempts || began.elapsed() >= retry.patience() {
                return Err(match (error, lost) {
                    // This try did nothing; what an earlier one did is not known.
                    (StoreError::Unavailable(_), Some(lost)) => lost,
                    (error, _) => error,
                }
                .into());
            }
            warn!(tries, error = %error, "the store was not there, trying again");
            tokio::time::sleep(retry.pause(tries)).await;
            tries += 1;
            if matches!(error, StoreError::Interrupted(_)) {
                lost = Some(error);
            }
        }
    }

    async fn once(
        &self,
        slots: &mut Slots<C>,
        encoder: &mut Encoder,
    ) -> Result<Receipt, ExecuteError<C::Error>> {
        let Some(key) = &self.key else {
            return self.until_done(slots, encoder).await;
        };
        if let Some(first) = Box::pin(self.first_answer(key)).await? {
            return Ok(first);
        }
        match Box::pin(self.until_done(slots, encoder)).await {
            // Another process may have got the same request done behind the look at the key: what it did
            // is no reason to refuse it.
            Err(no @ (ExecuteError::Refused(_) | ExecuteError::Conflict { .. })) => {
                Box::pin(self.first_answer(key)).await?.ok_or(no)
            }
            done => done,
        }
    }

    async fn until_done(
        &self,
        slots: &mut Slots<C>,
        encoder: &mut Encoder,
    ) -> Result<Receipt, ExecuteError<C::Error>> {
        let mut attempts = 0;
        let mut ground = self.load(slots).await?;
        loop {
            if let Some(conflict) = self.unexpected(slots) {
                if !ground.current && Box::pin(self.refresh(slots, &mut ground)).await? {
                    continue;
                }
                return Err(ExecuteError::Conflict { conflict, attempts });
            }
            attempts += 1;
            let decided = self.execute.command.decide(C::On::state(slots));
            // A refusal, or that nothing needs to happen, must not rest on a state that has moved on.
            let mut streams = Vec::new();
            if let Ok(decision) = &decided {
                C::On::encode(slots, decision, encoder, &mut streams)?;
            }
            let nothing = streams.iter().all(|part| part.events.is_empty());
            if nothing && !ground.current && Box::pin(self.refresh(slots, &mut ground)).await? {
                continue;
            }
            let decision = decided.map_err(ExecuteError::Refused)?;
            if nothing && self.key.is_none() {
                return Ok(unchanged::<C>(slots, attempts));
            }
            let decided = Decided {
                decision,
                streams,
                attempts,
            };
            let (conflict, kept) = match self.append(slots, decided, ground).await {
                (Ok(receipt), _) => return Ok(receipt),
                (Err(AppendError::Conflict(conflict)), kept) => (conflict, kept),
                (Err(error), _) => return Err(error.into()),
            };
            debug!(attempts, %conflict, "decided on a state that has moved on");
            if self.execute.expected.is_none() {
                if attempts >= self.inner.retry.attempts {
                    return Err(ExecuteError::Conflict { conflict, attempts });
                }
                tokio::time::sleep(self.inner.retry.pause(attempts)).await;
            }
            ground = match kept {
                Some(mut kept) => {
                    Box::pin(self.refresh(slots, &mut kept)).await?;
                    kept.current = false;
                    kept
                }
                None => Box::pin(self.load(slots)).await?,
            };
        }
    }

    /// Waits for the turn, and loads every part.
    async fn load(&self, slots: &mut Slots<C>) -> Result<Ground<'_>, LoadError> {
        let source = &self.inner.source;
        let mut turn = self.inner.queue.turn(self.streams.clone()).await;
        let mut parts = parts::<C>(slots);
        let mut current = parts.len() == 1;
        let mut chains: Few<_> = parts.iter().map(|_| None).collect();
        for (part, chain) in parts.iter_mut().zip(chains.iter_mut()) {
            let ahead = part.stream().and_then(|stream| turn.ahead(stream));
            if let Some(ahead) = ahead
                && part.take_warm(ahead.warm)
            {
                *chain = Some(ahead.chain);
            } else if !source.load_warm(*part).await? {
                part.load(source).await?;
                continue;
            }
            current = false;
        }
        Ok(Ground {
            turn,
            current,
            chains,
        })
    }

    /// Reads what is new in every part, once what it rests on is stored. `false`: nothing, so the state was
    /// current at one moment.
    async fn refresh(
        &self,
        slots: &mut Slots<C>,
        ground: &mut Ground<'_>,
    ) -> Result<bool, LoadError> {
        let source = &self.inner.source;
        let mut changed = false;
        for (part, chain) in parts::<C>(slots).into_iter().zip(ground.chains.iter_mut()) {
            match chain.take() {
                Some(chain) if chain.is_stored(part.version()).await => {
                    part.place(chain.position());
                    changed |= part.refresh(source).await?;
                    part.keep(source, part.version());
                }
                Some(_) => {
                    part.load(source).await?;
                    changed = true;
                }
                None => changed |= part.refresh(source).await?,
            }
        }
        Ok(changed)
    }

    /// The answer that was given to the key before, here or in another process.
    async fn first_answer(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, ExecuteError<C::Error>> {
        let store = &*self.inner.source.store;
        match store.find(key).await {
            Ok(Some(first)) => Ok(Some(Receipt::again(store, first, &self.streams).await?)),
            Ok(None) => Ok(None),
            Err(AppendError::Store(error)) => Err(LoadError::Store(error).into()),
            Err(error) => Err(error.into()),
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

    /// Gives the ground back, unless others stand on it in the meantime.
    async fn append<'q>(
        &self,
        slots: &mut Slots<C>,
        decided: Decided<C>,
        mut ground: Ground<'q>,
    ) -> (Result<Receipt, AppendError>, Option<Ground<'q>>) {
        let Decided {
            decision,
            streams,
            attempts,
        } = decided;
        let condition = parts::<C>(slots).iter().find_map(|part| part.condition());
        let waits = condition.is_some();
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
        let source = &self.inner.source;
        let appending = source.store.append(append).instrument(span.clone());
        tokio::pin!(appending);
        // A store puts appends in order as they are first polled.
        let answer = match poll_fn(|context| Poll::Ready(appending.as_mut().poll(context))).await {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending if waits || !ground.turn.is_awaited() => Some(appending.as_mut().await),
            Poll::Pending => None,
        };
        if let Some(answer) = answer {
            let told = self.told(answer, (streams, attempts), &span).await;
            let receipt = told.map(|(receipt, head)| {
                if let Some(head) = head {
                    self.settle(slots, (decision, head), &mut ground);
                }
                receipt
            });
            return (receipt, Some(ground));
        }
        let gone = self.go_ahead(slots, decision, ground);
        let told = self.told(appending.await, (streams, attempts), &span);
        let receipt = told.await.map(|(receipt, head)| {
            if let Some(head) = head {
                gone.stored(head);
            }
            receipt
        });
        (receipt, None)
    }

    /// The receipt, and the position ahead of the new events; no position if nothing was stored now.
    async fn told(
        &self,
        answer: Result<Appended, AppendError>,
        (streams, attempts): (Vec<StreamAppend>, u32),
        span: &Span,
    ) -> Result<(Receipt, Option<Position>), AppendError> {
        let store = &self.inner.source.store;
        let appended = answer?;
        span.record("position", appended.position.get());
        span.record("versions", field::debug(&appended.versions));
        if appended.repeated {
            let again = Receipt::again(&**store, appended, &self.streams);
            return Ok((Box::pin(again).await?, None));
        }
        let head = Position::new(appended.position.get() - appended.count);
        Ok((Receipt::stored(appended, streams, attempts), Some(head)))
    }

    /// Takes a stored decision into the states, and keeps them warm.
    fn settle(
        &self,
        slots: &mut Slots<C>,
        (decision, mut head): (Decision<C>, Position),
        ground: &mut Ground<'_>,
    ) {
        let source = &self.inner.source;
        let mut seen = Few::new();
        for part in parts::<C>(slots) {
            seen.push(part.version());
            part.release();
            if let Some(stream) = part.stream() {
                ground.turn.leave(stream, None);
            }
        }
        C::On::settle(slots, decision, &mut head);
        let parts = parts::<C>(slots).into_iter().zip(seen);
        for ((part, seen), chain) in parts.zip(ground.chains.iter()) {
            // Where the newest event of a state stands that was left by another, that one knows.
            if chain.is_none() || part.version() > seen {
                part.keep(source, seen);
            }
        }
    }

    /// Takes a decision into the states that others go on from before it is stored.
    fn go_ahead(
        &self,
        slots: &mut Slots<C>,
        decision: Decision<C>,
        mut ground: Ground<'_>,
    ) -> GoneAhead<'_> {
        let mut seen = Few::new();
        for part in parts::<C>(slots) {
            seen.push(part.version());
            if let Some(stream) = part.stream() {
                ground.turn.leave(stream, None);
            }
        }
        C::On::settle(slots, decision, &mut Position::ZERO.clone());
        let mut gone = GoneAhead::new(self.inner);
        let parts = parts::<C>(slots).into_iter().zip(seen);
        for ((part, seen), chain) in parts.zip(ground.chains) {
            gone.leave(part, &mut ground.turn, (seen, chain));
        }
        gone
    }
}
