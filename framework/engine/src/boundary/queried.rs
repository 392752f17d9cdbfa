//! [`Queried`]: a boundary widened by a tag query, which no single stream owns.

use std::marker::PhantomData;

use async_trait::async_trait;

use super::shape::WithQuery;
use super::{Boundary, InvalidTarget, Part};
use crate::codec::Encoder;
use crate::engine::cache::{Kept, Warm};
use crate::engine::source::{LoadError, Source};
use crate::error::{DecodeError, EncodeError};
use crate::event_set::{ApplySet, EventSet};
use crate::events::DeadlineOrders;
use crate::few::Few;
use crate::record::RecordedEvent;
use factum_core::append::{AppendCondition, StreamAppend};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;
use factum_core::tag::InvalidTag;

/// The boundary `B`, and a state `Q` folded from the events of the set `S` that a tag query finds.
///
/// The decision is stored only if no event has arrived meanwhile that the query would find.
#[derive(Debug)]
pub struct Queried<B, Q, S> {
    boundary: PhantomData<fn() -> B>,
    state: PhantomData<fn() -> Q>,
    events: PhantomData<fn() -> S>,
}

/// The state of a tag query.
#[derive(Debug)]
pub struct QuerySlot<Q, S> {
    query: Query,
    state: Q,
    position: Position,
    events: PhantomData<fn() -> S>,
}

impl<B, Q, S> Boundary for Queried<B, Q, S>
where
    B: Boundary,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
{
    type Target<'a> = (B::Target<'a>, Result<Query, InvalidTag>);
    type State<'a> = (B::State<'a>, &'a Q);
    type Decision = B::Decision;
    type Slots = (B::Slots, QuerySlot<Q, S>);
    type Shape = WithQuery<B::Shape, Q, S>;

    fn slots((target, query): Self::Target<'_>) -> Result<Self::Slots, InvalidTarget> {
        let query = query?.restricted_to_event_types(&S::names());
        let position = Position::ZERO;
        let slot = QuerySlot {
            query,
            state: Q::default(),
            position,
            events: PhantomData,
        };
        Ok((B::slots(target)?, slot))
    }

    fn parts<'s>(slots: &'s mut Self::Slots, parts: &mut Few<&'s mut dyn Part>) {
        B::parts(&mut slots.0, parts);
        parts.push(&mut slots.1);
    }

    fn state(slots: &Self::Slots) -> Self::State<'_> {
        (B::state(&slots.0), &slots.1.state)
    }

    fn encode(
        slots: &Self::Slots,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        streams: &mut Vec<StreamAppend>,
    ) -> Result<(), EncodeError> {
        B::encode(&slots.0, decision, encoder, streams)
    }

    fn deadlines<'d>(
        slots: &'d Self::Slots,
        decision: &'d Self::Decision,
        each: &mut dyn FnMut(&'d StreamId, &'d DeadlineOrders),
    ) {
        B::deadlines(&slots.0, decision, each);
    }

    fn settle(slots: &mut Self::Slots, decision: Self::Decision, head: &mut Position) {
        B::settle(&mut slots.0, decision, head);
    }
}

impl<Q: ApplySet<S>, S: EventSet> QuerySlot<Q, S> {
    /// Takes `record` into the state, if the query finds it.
    pub fn take(&mut self, record: &RecordedEvent) -> Result<(), DecodeError> {
        if !self.query.matches(record) {
            return Ok(());
        }
        self.state.apply_record(record)
    }
}

#[async_trait]
impl<Q, S> Part for QuerySlot<Q, S>
where
    Q: ApplySet<S> + Send + Sync,
    S: EventSet,
{
    fn stream(&self) -> Option<&StreamId> {
        None
    }

    fn version(&self) -> Version {
        Version::ZERO
    }

    fn position(&self) -> Position {
        self.position
    }

    fn condition(&self) -> Option<AppendCondition> {
        Some(AppendCondition {
            query: self.query.clone(),
            after: self.position,
        })
    }

    fn take_warm(&mut self, _warm: Warm) -> bool {
        false
    }

    fn is_kept(&mut self, _kept: Kept) {}

    fn release(&self) {}

    fn give_away(&mut self) -> Option<Warm> {
        None
    }

    fn place(&mut self, _position: Position) {}

    async fn load(&mut self, source: &Source) -> Result<(), LoadError> {
        self.refresh(source).await.map(drop)
    }

    async fn refresh(&mut self, source: &Source) -> Result<bool, LoadError> {
        let mut changed = false;
        loop {
            let page = source
                .store
                .read(Read::all(self.query.clone()).after(self.position))
                .await?;
            for record in &page.events {
                self.take(record)?;
                changed = true;
            }
            self.position = page.through();
            if !page.more {
                return Ok(changed);
            }
        }
    }

    fn snapshot(&self, _seen: Version) -> Option<Snapshot> {
        None
    }

    fn keep(&mut self, _source: &Source, _seen: Version) {}
}
