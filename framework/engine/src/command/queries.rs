//! [`Queries`]: the DCB queries of a boundary, as a type.

use std::any::type_name;
use std::marker::PhantomData;

use factum_core::query::Query;
use factum_core::record::RecordedEvent;
use factum_core::tag::InvalidTag;

use crate::command::dcb_query::DcbQuery;
use crate::command::part::BoundaryParts;
use crate::command::query_state::QueryState;
use crate::command::sealed::Sealed;
use crate::domain::error::DecodeError;
use crate::domain::event_set::{ApplySet, EventSet};

/// A DCB query for events of the set `S`, which are folded into the state `Q`.
#[derive(Debug)]
pub struct Folded<Q, S> {
    state: PhantomData<fn() -> Q>,
    events: PhantomData<fn() -> S>,
}

/// The DCB queries of a boundary: one [`Folded`] state, or a tuple of two to four.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a DCB query",
    label = "neither a `Folded` state nor a tuple of two to four",
    note = "write `Queried<Account, Folded<Owner, AccountEvent>>`"
)]
pub trait Queries: Sealed + Send + Sync + 'static {
    /// The tags of a command, as a [`DcbQuery`] for each query.
    type Target;
    /// The states that [`decide`](crate::command::Decide::decide) receives.
    type State<'a>;
    /// The states of the queries.
    #[doc(hidden)]
    type Parts: Send + Sync;

    /// Returns the states without any events.
    ///
    /// # Errors
    /// Returns [`InvalidTag`] if a tag is not valid.
    #[doc(hidden)]
    fn parts(target: Self::Target) -> Result<Self::Parts, InvalidTag>;

    /// Adds each query to `list`.
    #[doc(hidden)]
    fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>);

    /// Returns the states for the decision.
    #[doc(hidden)]
    fn state(parts: &Self::Parts) -> Self::State<'_>;

    /// Drops the events that were read.
    #[doc(hidden)]
    fn restart(parts: &mut Self::Parts);

    /// Applies `record` to the state of each query that matches it.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the record cannot be decoded.
    #[doc(hidden)]
    fn apply(parts: &mut Self::Parts, record: &RecordedEvent) -> Result<(), DecodeError>;

    /// Adds the Rust type of the state and the event types of each query to `list`.
    #[doc(hidden)]
    fn describe(list: &mut Vec<(&'static str, Vec<&'static str>)>);
}

impl<Q, S> Sealed for Folded<Q, S> {}

impl<Q, S> Queries for Folded<Q, S>
where
    Q: ApplySet<S> + Send + Sync + 'static,
    S: EventSet,
{
    type Target = DcbQuery<Q>;
    type State<'a> = &'a Q;
    type Parts = QueryState<Q, S>;

    fn parts(target: DcbQuery<Q>) -> Result<QueryState<Q, S>, InvalidTag> {
        let DcbQuery { query, start } = target;
        let query = query?.and(Query::event_types(S::names()));
        Ok(QueryState::new(query, start))
    }

    fn list_parts<'p>(part: &'p mut QueryState<Q, S>, list: &mut BoundaryParts<'p>) {
        list.push(part);
    }

    fn state(part: &QueryState<Q, S>) -> &Q {
        part.state()
    }

    fn restart(part: &mut QueryState<Q, S>) {
        part.restart();
    }

    fn apply(part: &mut QueryState<Q, S>, record: &RecordedEvent) -> Result<(), DecodeError> {
        part.apply(record)
    }

    fn describe(list: &mut Vec<(&'static str, Vec<&'static str>)>) {
        list.push((type_name::<Q>(), S::names()));
    }
}

macro_rules! tuple_queries {
    ($($query:ident $index:tt),+) => {
        impl<$($query: Queries),+> Queries for ($($query,)+) {
            type Target = ($($query::Target,)+);
            type State<'a> = ($($query::State<'a>,)+);
            type Parts = ($($query::Parts,)+);

            fn parts(target: Self::Target) -> Result<Self::Parts, InvalidTag> {
                Ok(($($query::parts(target.$index)?,)+))
            }

            fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
                $($query::list_parts(&mut parts.$index, list);)+
            }

            fn state(parts: &Self::Parts) -> Self::State<'_> {
                ($($query::state(&parts.$index),)+)
            }

            fn restart(parts: &mut Self::Parts) {
                $($query::restart(&mut parts.$index);)+
            }

            fn apply(parts: &mut Self::Parts, record: &RecordedEvent) -> Result<(), DecodeError> {
                $($query::apply(&mut parts.$index, record)?;)+
                Ok(())
            }

            fn describe(list: &mut Vec<(&'static str, Vec<&'static str>)>) {
                $($query::describe(list);)+
            }
        }
    };
}

tuple_queries!(A 0, B 1);
tuple_queries!(A 0, B 1, C 2);
tuple_queries!(A 0, B 1, C 2, D 3);
