//! [`Attempt`]: load, decide, append, and again on a conflict.

use std::sync::Arc;
use std::time::Instant;

use tracing::{Instrument as _, debug, debug_span, warn};

use super::Inner;
use super::ahead::Chain;
use super::execute_error::ExecuteError;
use super::parts::{Decision, Slots, parts, unchanged};
use super::queue::Turn;
use super::receipt::Receipt;
use super::source::LoadError;
use crate::boundary::Boundary;
use crate::codec::Encoder;
use crate::command::Decide;
use crate::error::StoreError;
use crate::few::Few;
use crate::metrics::{self, RetryCause};
use factum_core::append::{
    AppendError, Conflict, ExpectedVersion, IdempotencyKey, StreamAppend, Violation,
};
use factum_core::document::DocumentChanges;
use factum_core::position::Version;
use factum_core::stream_id::StreamId;

/// What stays the same while a command is decided again and again.
pub struct Attempt<'a, C> {
    pub command: C,
    /// The version that the caller expects of the first stream.
    pub expected: Option<Version>,
    /// What the command looks at.
    pub streams: Few<StreamId>,
    pub key: Option<IdempotencyKey>,
    /// What its append changes besides.
    pub consumes: DocumentChanges,
    pub inner: &'a Inner,
}

/// What a command stands on.
pub struct Ground<'q> {
    pub turn: Turn<'q>,
    /// The state as a whole was current at one moment since the command came in.
    current: bool,
    /// What the state of each part rests on, if on an append that is on its way.
    pub chains: Few<Option<Arc<Chain>>>,
}

/// A decision in both its forms.
pub struct Decided<C: Decide> {
    pub decision: Decision<C>,
    pub streams: Vec<StreamAppend>,
    pub changes: DocumentChanges,
    pub attempts: u32,
}

impl<'a, C: Decide> Attempt<'a, C> {
    /// Tries again when the store was not there, as long as the command cannot happen twice by it.
    pub async fn while_safe(
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
            metrics::tries_again::<C>(RetryCause::Store);
            Box::pin(tokio::time::sleep(retry.pause(tries))).await;
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
            // is no reason to reject it.
            Err(no @ (ExecuteError::Rejected(_) | ExecuteError::Conflict { .. })) => {
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
        let mut ground = match self.at_once(slots) {
            Some(ground) => ground,
            None => Box::pin(self.load(slots).instrument(debug_span!("load"))).await?,
        };
        loop {
            if let Some(conflict) = self.unexpected(slots) {
                if !ground.current && Box::pin(self.refresh(slots, &mut ground)).await? {
                    continue;
                }
                return Err(ExecuteError::Conflict { conflict, attempts });
            }
            attempts += 1;
            let decided = debug_span!("decide", attempts)
                .in_scope(|| self.command.decide(C::On::state(slots)));
            // A rejection, or a decision without events, must not depend on an outdated state.
            let (mut streams, mut changes, mut first) = (Vec::new(), DocumentChanges::new(), None);
            if let Ok(decision) = &decided {
                C::On::encode(slots, decision, encoder, &mut streams)?;
                let deadlines = self.deadlines((slots, decision), &streams, encoder)?;
                (changes, first) = (deadlines.changes, deadlines.first);
            }
            let nothing = changes.is_empty() && streams.iter().all(|part| part.events.is_empty());
            if nothing && !ground.current && Box::pin(self.refresh(slots, &mut ground)).await? {
                continue;
            }
            let decision = decided.map_err(ExecuteError::Rejected)?;
            if nothing && self.key.is_none() && self.consumes.is_empty() {
                return Ok(unchanged::<C>(slots, attempts));
            }
            let decided = Decided {
                decision,
                streams,
                changes: self.with_consumed(changes),
                attempts,
            };
            let mut kept = Some(ground);
            let conflict = match self.append(slots, decided, &mut kept).await {
                Ok(receipt) => {
                    first.inspect(|due| self.inner.alarm.is_set(*due));
                    return Ok(receipt);
                }
                Err(AppendError::Conflict(conflict)) => conflict,
                Err(error) => return Err(error.into()),
            };
            ground = Box::pin(self.step_back(slots, kept, (conflict, attempts))).await?;
        }
    }

    /// Pauses behind a conflict, and learns what is new.
    async fn step_back(
        &self,
        slots: &mut Slots<C>,
        kept: Option<Ground<'a>>,
        (conflict, attempts): (Conflict, u32),
    ) -> Result<Ground<'a>, ExecuteError<C::Error>> {
        if conflict.has_document_violation() {
            return Err(ExecuteError::Conflict { conflict, attempts });
        }
        debug!(attempts, %conflict, "decided on a state that has moved on");
        metrics::lost_race::<C>();
        if self.expected.is_none() {
            if attempts >= self.inner.retry.attempts {
                return Err(ExecuteError::Conflict { conflict, attempts });
            }
            let pause = self.inner.retry.pause(attempts);
            debug!(attempts, ?pause, "decides again");
            metrics::tries_again::<C>(RetryCause::Conflict);
            tokio::time::sleep(pause).await;
        }
        let Some(mut kept) = kept else {
            return Ok(self.load(slots).instrument(debug_span!("load")).await?);
        };
        self.refresh(slots, &mut kept).await?;
        kept.current = false;
        Ok(kept)
    }

    /// Where nobody is in line, and every state is warm, there is nothing to wait for.
    fn at_once(&self, slots: &mut Slots<C>) -> Option<Ground<'a>> {
        let turn = self.inner.queue.turn_now(&self.streams)?;
        let mut chains = Few::new();
        for part in parts::<C>(slots) {
            self.inner.source.take_warm(part).filter(|lags| !lags)?;
            chains.push(None);
        }
        Some(Ground {
            turn,
            current: false,
            chains,
        })
    }

    /// Waits for the turn, and loads every part.
    async fn load(&self, slots: &mut Slots<C>) -> Result<Ground<'a>, LoadError> {
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
        let expected = self.expected?;
        let parts = parts::<C>(slots);
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
}
