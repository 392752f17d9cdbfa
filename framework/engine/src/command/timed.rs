//! [`Timed`]: a boundary with the time of the decision.

use std::marker::PhantomData;

use factum_core::append::Append;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

use crate::command::boundary::{Boundary, DecisionPlaces, FindError, InvalidTarget};
use crate::command::found::Finds;
use crate::command::part::BoundaryParts;
use crate::command::sealed::Sealed;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;

/// The boundary `B`, whose decision receives the time by the clock of the engine.
///
/// A retry after a conflict decides with a new time. The time is not a part of the command, so an idempotency key does
/// not compare it.
#[derive(Debug)]
pub struct Timed<B>(PhantomData<fn() -> B>);

impl<B> Sealed for Timed<B> {}

impl<B: Boundary> Boundary for Timed<B> {
    type Target<'a> = B::Target<'a>;
    type State<'a> = (B::State<'a>, Timestamp);
    type Decision = B::Decision;
    type Parts = B::Parts;
    type Shape = B::Shape;
    const NEEDS_RECORDS: bool = B::NEEDS_RECORDS;
    const HAS_QUERIES: bool = B::HAS_QUERIES;
    const FINDS: bool = B::FINDS;

    fn parts(target: Self::Target<'_>) -> Result<Self::Parts, InvalidTarget> {
        B::parts(target)
    }

    fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
        B::list_parts(parts, list);
    }

    fn find(parts: &mut Self::Parts, target: Self::Target<'_>) -> Result<bool, FindError> {
        B::find(parts, target)
    }

    fn state<'p>(parts: &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p> {
        (B::state(parts, now), now())
    }

    fn encode(
        parts: &Self::Parts,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        B::encode(parts, decision, encoder, append)
    }

    fn for_each_deadline<'d>(
        parts: &'d Self::Parts,
        decision: &'d Self::Decision,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        B::for_each_deadline(parts, decision, visit);
    }

    fn apply_decision(
        parts: &mut Self::Parts,
        decision: Self::Decision,
        places: &mut DecisionPlaces<'_>,
    ) {
        B::apply_decision(parts, decision, places);
    }
}

impl<B: Finds> Finds for Timed<B> {
    type Named = B::Named;
    type Found = B::Found;
}
