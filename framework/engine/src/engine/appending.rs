//! The second half of an [`Attempt`]: append, and take what is stored into the states.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::BoxFuture;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span, field};

use super::ahead::GoneAhead;
use super::attempt::{Attempt, Decided, Ground};
use super::parts::{Decision, Slots, parts};
use super::receipt::Receipt;
use crate::boundary::Boundary;
use crate::command::Decide;
use crate::few::Few;
use factum_core::append::{Append, AppendError, Appended, StreamAppend};
use factum_core::position::Position;

/// A store's answer.
enum Told {
    /// And the position ahead of the new events.
    Stored(Receipt, Position),
    /// To an append that was answered before; nothing was stored now.
    Repeated(Appended),
}

impl<'a, C: Decide> Attempt<'a, C> {
    /// Takes the ground away if others stand on it in the meantime.
    pub async fn append(
        &self,
        slots: &mut Slots<C>,
        mut decided: Decided<C>,
        ground: &mut Option<Ground<'a>>,
    ) -> Result<Receipt, AppendError> {
        let condition = parts::<C>(slots).iter().find_map(|part| part.condition());
        let waits = condition.is_some();
        let append = Append {
            streams: decided.streams.clone(),
            condition,
            key: self.key.clone(),
            changes: std::mem::take(&mut decided.changes),
        };
        let span = tracing::debug_span!(
            "append",
            events = append.count(),
            position = field::Empty,
            versions = field::Empty,
        );
        let mut appending = self.inner.source.store.append(append).instrument(span);
        // A store puts appends in order as they are first polled.
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut appending).poll(context))).await;
        let answer = match polled {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                if let Some(ground) = ground.take_if(|ground| !waits && ground.turn.is_awaited()) {
                    let gone = self.go_ahead(slots, decided.decision, ground);
                    let (streams, attempts) = (decided.streams, decided.attempts);
                    let told = self.told_ahead(appending, (streams, attempts), gone);
                    return Box::pin(told).await;
                }
                (&mut appending).await
            }
        };
        let told = self.told(
            answer,
            (decided.streams, decided.attempts),
            appending.span(),
        )?;
        let (receipt, head) = match told {
            Told::Stored(receipt, head) => (receipt, head),
            Told::Repeated(first) => return Box::pin(self.again(first)).await,
        };
        if let Some(ground) = ground {
            self.settle(slots, (decided.decision, head), ground);
        }
        Ok(receipt)
    }

    /// The same where others stand on the decision.
    async fn told_ahead(
        &self,
        mut appending: Instrumented<BoxFuture<'_, Result<Appended, AppendError>>>,
        (streams, attempts): (Vec<StreamAppend>, u32),
        gone: GoneAhead<'_>,
    ) -> Result<Receipt, AppendError> {
        let answer = (&mut appending).await;
        match self.told(answer, (streams, attempts), appending.span())? {
            Told::Stored(receipt, head) => {
                gone.stored(head);
                Ok(receipt)
            }
            Told::Repeated(first) => self.again(first).await,
        }
    }

    fn told(
        &self,
        answer: Result<Appended, AppendError>,
        (streams, attempts): (Vec<StreamAppend>, u32),
        span: &Span,
    ) -> Result<Told, AppendError> {
        let appended = answer?;
        span.record("position", appended.position.get());
        span.record("versions", field::debug(&appended.versions));
        if appended.repeated {
            return Ok(Told::Repeated(appended));
        }
        let head = Position::new(appended.position.get() - appended.count);
        let receipt = Receipt::stored(appended, streams, attempts);
        Ok(Told::Stored(receipt, head))
    }

    async fn again(&self, first: Appended) -> Result<Receipt, AppendError> {
        let store = &*self.inner.source.store;
        Ok(Receipt::again(store, first, &self.streams).await?)
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
    ) -> GoneAhead<'a> {
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
