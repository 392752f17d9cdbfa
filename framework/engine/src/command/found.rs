//! [`Found`]: a boundary with aggregates that the command finds in the state of others.

use std::marker::PhantomData;

use factum_core::append::Append;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

use crate::command::aggregates::Aggregates;
use crate::command::boundary::{Boundary, DecisionPlaces, FindError, InvalidTarget};
use crate::command::part::{BoundaryParts, find_duplicate, streams_of};
use crate::command::sealed::Sealed;
use crate::command::shape::WithFound;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;

/// The aggregates `B`, and the aggregates `F` whose ids the command finds in the state of `B`.
///
/// The command implements [`Find`](crate::command::Find). The engine loads `B`, asks the command for the ids, and loads
/// `F`. The decision is stored only if neither has changed, so the ids are always those of the current state of `B`.
#[derive(Debug)]
pub struct Found<B, F> {
    named: PhantomData<fn() -> B>,
    found: PhantomData<fn() -> F>,
}

impl<B, F> Sealed for Found<B, F> {}

impl<B: Aggregates, F: Aggregates> Boundary for Found<B, F> {
    type Target<'a> = (B::Target<'a>, &'a dyn Finder<B, F>);
    type State<'a> = (B::State<'a>, F::State<'a>);
    type Decision = (B::Decision, F::Decision);
    // The parts of `F` exist after the first call of `find`.
    type Parts = (B::Parts, Option<F::Parts>);
    type Shape = WithFound<B::Shape, F::Shape>;
    const NEEDS_RECORDS: bool = B::NEEDS_RECORDS || F::NEEDS_RECORDS;
    const FINDS: bool = true;

    fn parts((target, _): Self::Target<'_>) -> Result<Self::Parts, InvalidTarget> {
        Ok((B::parts(target)?, None))
    }

    fn list_parts<'p>((named, found): &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
        B::list_parts(named, list);
        if let Some(found) = found {
            F::list_parts(found, list);
        }
    }

    fn find(
        (named, found): &mut Self::Parts,
        (_, finder): Self::Target<'_>,
    ) -> Result<bool, FindError> {
        let ids = finder.find_ids(B::state(named, &Timestamp::now));
        let mut new = F::parts(F::target(&ids))?;
        let new_streams = streams::<F>(&mut new);
        let mut all = streams::<B>(named);
        all.extend(new_streams.iter().cloned());
        if let Some(stream) = find_duplicate(&all) {
            return Err(FindError::DuplicateStream(stream.clone()));
        }
        if found.as_mut().map(streams::<F>) == Some(new_streams) {
            return Ok(false);
        }
        *found = Some(new);
        Ok(true)
    }

    fn state<'p>((named, found): &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p> {
        (B::state(named, now), F::state(loaded::<F>(found), now))
    }

    fn encode(
        (named, found): &Self::Parts,
        (decision, found_decision): &Self::Decision,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        B::encode(named, decision, encoder, append)?;
        F::encode(loaded::<F>(found), found_decision, encoder, append)
    }

    fn for_each_deadline<'d>(
        (named, found): &'d Self::Parts,
        (decision, found_decision): &'d Self::Decision,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        B::for_each_deadline(named, decision, visit);
        F::for_each_deadline(loaded::<F>(found), found_decision, visit);
    }

    fn apply_decision(
        (named, found): &mut Self::Parts,
        (decision, found_decision): Self::Decision,
        places: &mut DecisionPlaces<'_>,
    ) {
        B::apply_decision(named, decision, places);
        if let Some(found) = found {
            F::apply_decision(found, found_decision, places);
        }
    }
}

/// A boundary with aggregates that the command finds.
#[diagnostic::on_unimplemented(
    message = "a command on `{Self}` finds no aggregates",
    label = "`find = …` is missing in `#[command(…)]`",
    note = "write `#[command(on = …, find = …)]`, or remove `impl Find`"
)]
#[doc(hidden)]
pub trait Finds: Boundary {
    /// The aggregates in whose state the command looks.
    type Named: Aggregates;
    /// The aggregates that it finds.
    type Found: Aggregates;
}

impl<B: Aggregates, F: Aggregates> Finds for Found<B, F> {
    type Named = B;
    type Found = F;
}

/// A command that finds `F` in the state of `B`, without its type.
#[doc(hidden)]
pub trait Finder<B: Aggregates, F: Aggregates> {
    /// Returns the ids of the aggregates.
    fn find_ids(&self, state: B::State<'_>) -> F::Ids;
}

/// Returns the streams of `parts`, in order.
fn streams<B: Boundary>(parts: &mut B::Parts) -> Vec<StreamId> {
    let mut list = BoundaryParts::new();
    B::list_parts(parts, &mut list);
    streams_of(&list)
}

/// Returns the parts that were found.
///
/// # Panics
/// If the command has not looked for them.
fn loaded<F: Boundary>(found: &Option<F::Parts>) -> &F::Parts {
    match found {
        Some(parts) => parts,
        None => unreachable!("a command finds its streams before it decides"),
    }
}
