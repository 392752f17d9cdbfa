//! `Option<A>` as a boundary: an aggregate that a command may name.

use factum_core::append::Append;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

use crate::command::boundary::{Boundary, DecisionPlaces, InvalidTarget};
use crate::command::part::BoundaryParts;
use crate::command::sealed::Sealed;
use crate::command::shape::Optional;
use crate::domain::aggregate::Aggregate;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;
use crate::domain::events::Events;
use crate::state::aggregate_state::AggregateState;

impl<A: Aggregate> Sealed for Option<A> {}

impl<A: Aggregate> Boundary for Option<A> {
    type Target<'a> = &'a Option<A::Id>;
    type State<'a> = Option<&'a A>;
    type Decision = Events<A::Event>;
    type Parts = Option<AggregateState<A>>;
    type Shape = Optional<A>;
    const NEEDS_RECORDS: bool = A::NEEDS_RECORDS;

    fn parts(id: &Option<A::Id>) -> Result<Option<AggregateState<A>>, InvalidTarget> {
        id.as_ref().map(A::parts).transpose()
    }

    fn list_parts<'p>(part: &'p mut Option<AggregateState<A>>, list: &mut BoundaryParts<'p>) {
        if let Some(part) = part {
            list.push(part);
        }
    }

    fn state<'p>(
        part: &'p Option<AggregateState<A>>,
        now: &dyn Fn() -> Timestamp,
    ) -> Option<&'p A> {
        part.as_ref().map(|part| A::state(part, now))
    }

    fn encode(
        part: &Option<AggregateState<A>>,
        decision: &Events<A::Event>,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        match part {
            Some(part) => A::encode(part, decision, encoder, append),
            None if decision.as_slice().is_empty() && decision.deadlines().is_none() => Ok(()),
            None => {
                let source = format!(
                    "it has events or deadlines for an aggregate of {}, but there is none; return \
                     `Events::none()` if the state is `None`",
                    A::CATEGORY
                );
                Err(EncodeError {
                    name: "the decision",
                    source: source.into(),
                })
            }
        }
    }

    fn for_each_deadline<'d>(
        part: &'d Option<AggregateState<A>>,
        decision: &'d Events<A::Event>,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        if let Some(part) = part {
            A::for_each_deadline(part, decision, visit);
        }
    }

    fn apply_decision(
        part: &mut Option<AggregateState<A>>,
        decision: Events<A::Event>,
        places: &mut DecisionPlaces<'_>,
    ) {
        if let Some(part) = part {
            A::apply_decision(part, decision, places);
        }
    }
}
