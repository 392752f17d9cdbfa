//! [`Queried`]: a boundary with a DCB query.

use std::marker::PhantomData;

use factum_core::append::StreamAppend;
use factum_core::query::Query;
use factum_core::stream_id::StreamId;
use factum_core::tag::InvalidTag;
use factum_core::timestamp::Timestamp;

use crate::command::boundary::{Boundary, DecisionPlaces, InvalidTarget};
use crate::command::part::BoundaryParts;
use crate::command::query_state::QueryState;
use crate::command::sealed::Sealed;
use crate::command::shape::WithQuery;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;
use crate::domain::event_set::{ApplySet, EventSet};

/// The boundary `B` with a DCB query, whose events are folded into the state `Q`.
///
/// The query finds events of the set `S`. The decision is stored only if no other event that matches the query was
/// stored since.
#[derive(Debug)]
pub struct Queried<B, Q, S> {
    boundary: PhantomData<fn() -> B>,
    state: PhantomData<fn() -> Q>,
    events: PhantomData<fn() -> S>,
}

impl<B, Q, S> Sealed for Queried<B, Q, S> {}

impl<B, Q, S> Boundary for Queried<B, Q, S>
where
    B: Boundary,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
{
    type Target<'a> = (B::Target<'a>, Result<Query, InvalidTag>);
    type State<'a> = (B::State<'a>, &'a Q);
    type Decision = B::Decision;
    type Parts = (B::Parts, QueryState<Q, S>);
    type Shape = WithQuery<B::Shape, Q, S>;
    const NEEDS_RECORDS: bool = B::NEEDS_RECORDS;

    fn parts((target, query): Self::Target<'_>) -> Result<Self::Parts, InvalidTarget> {
        let query = query?.and(Query::event_types(S::names()));
        Ok((B::parts(target)?, QueryState::new(query)))
    }

    fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
        B::list_parts(&mut parts.0, list);
        list.push(&mut parts.1);
    }

    fn state<'p>(parts: &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p> {
        (B::state(&parts.0, now), parts.1.state())
    }

    fn encode(
        parts: &Self::Parts,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        streams: &mut Vec<StreamAppend>,
    ) -> Result<(), EncodeError> {
        B::encode(&parts.0, decision, encoder, streams)
    }

    fn for_each_deadline<'d>(
        parts: &'d Self::Parts,
        decision: &'d Self::Decision,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        B::for_each_deadline(&parts.0, decision, visit);
    }

    fn apply_decision(
        parts: &mut Self::Parts,
        decision: Self::Decision,
        places: &mut DecisionPlaces<'_>,
    ) {
        B::apply_decision(&mut parts.0, decision, places);
    }
}
