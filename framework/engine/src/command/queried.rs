//! [`Queried`]: a boundary with DCB queries.

use std::marker::PhantomData;

use factum_core::append::Append;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

use crate::command::boundary::{Boundary, DecisionPlaces, FindError, InvalidTarget};
use crate::command::found::Finds;
use crate::command::part::BoundaryParts;
use crate::command::queries::Queries;
use crate::command::sealed::Sealed;
use crate::command::shape::WithQueries;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;

/// The boundary `B` with the DCB query `L`, or with a tuple of up to four.
///
/// Each query is a [`Folded`](crate::boundary::Folded) state. The decision is stored only if no other event that one of
/// the queries matches was stored since.
///
/// `derive(Command)` writes this type. A command without the derive names it itself:
///
/// ```
/// use factum::command::{DcbQuery, Folded, Queried};
/// use factum::prelude::*;
/// use factum::store::Tag;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum AccountEvent { Opened { #[tag] owner: u32 } }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "account", id = u32, event = AccountEvent)]
/// # struct Account;
/// # impl Apply<AccountEvent> for Account { fn apply(&mut self, _: &AccountEvent) {} }
/// # #[derive(Default)]
/// # struct Owner(u32);
/// # impl Apply<AccountEvent> for Owner { fn apply(&mut self, _: &AccountEvent) { self.0 += 1 } }
/// #[derive(Serialize)]
/// struct Open { account: u32, owner: u32 }
///
/// impl Command for Open {
///     const NAME: &'static str = "Open";
///     const TAGS: &'static [&'static str] = &["owner"];
///     type On = Queried<Account, Folded<Owner, AccountEvent>>;
///
///     fn target(&self) -> (&u32, DcbQuery<Owner>) {
///         (&self.account, DcbQuery::any_tag([Tag::new("owner", self.owner)]))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Queried<B, L> {
    boundary: PhantomData<fn() -> B>,
    queries: PhantomData<fn() -> L>,
}

impl<B, L> Sealed for Queried<B, L> {}

impl<B: Boundary, L: Queries> Boundary for Queried<B, L> {
    type Target<'a> = (B::Target<'a>, L::Target);
    type State<'a> = (B::State<'a>, L::State<'a>);
    type Decision = B::Decision;
    type Parts = (B::Parts, L::Parts);
    type Shape = WithQueries<B::Shape, L>;
    const NEEDS_RECORDS: bool = B::NEEDS_RECORDS;
    const HAS_QUERIES: bool = true;
    const FINDS: bool = B::FINDS;

    fn parts((target, queries): Self::Target<'_>) -> Result<Self::Parts, InvalidTarget> {
        Ok((B::parts(target)?, L::parts(queries)?))
    }

    fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
        B::list_parts(&mut parts.0, list);
        L::list_parts(&mut parts.1, list);
    }

    fn find(parts: &mut Self::Parts, (target, _): Self::Target<'_>) -> Result<bool, FindError> {
        B::find(&mut parts.0, target)
    }

    fn state<'p>(parts: &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p> {
        (B::state(&parts.0, now), L::state(&parts.1))
    }

    fn encode(
        parts: &Self::Parts,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        B::encode(&parts.0, decision, encoder, append)
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

impl<B: Finds, L: Queries> Finds for Queried<B, L> {
    type Named = B::Named;
    type Found = B::Found;
}
