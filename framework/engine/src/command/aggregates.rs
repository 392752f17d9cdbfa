//! [`Aggregates`]: a boundary of aggregates alone, whose ids a command can find.

use crate::command::boundary::Boundary;
use crate::domain::aggregate::Aggregate;

/// Aggregates that a command can find: one, an `Option`, a `Vec`, or a tuple of up to four of these.
///
/// The trait is sealed: it is implemented for these types only.
#[diagnostic::on_unimplemented(
    message = "a command cannot find `{Self}`",
    label = "neither an aggregate, nor an `Option` or a `Vec` of one, nor a tuple of these",
    note = "name a type that derives `Aggregate`: `find = Account`, `find = Option<Account>`, `find = Vec<Account>`"
)]
pub trait Aggregates: Boundary {
    /// The ids of the aggregates: an id, an `Option`, a `Vec`, or a tuple of these.
    type Ids: Send;

    /// Returns the ids as the target of a command.
    #[doc(hidden)]
    fn target(ids: &Self::Ids) -> Self::Target<'_>;
}

impl<A: Aggregate> Aggregates for A {
    type Ids = A::Id;

    fn target(id: &A::Id) -> &A::Id {
        id
    }
}

impl<A: Aggregate> Aggregates for Option<A> {
    type Ids = Option<A::Id>;

    fn target(id: &Option<A::Id>) -> &Option<A::Id> {
        id
    }
}

impl<A: Aggregate> Aggregates for Vec<A> {
    type Ids = Vec<A::Id>;

    fn target(ids: &Vec<A::Id>) -> &[A::Id] {
        ids
    }
}

macro_rules! tuple_aggregates {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Aggregates),+> Aggregates for ($($part,)+) {
            type Ids = ($($part::Ids,)+);

            fn target(ids: &Self::Ids) -> Self::Target<'_> {
                ($($part::target(&ids.$index),)+)
            }
        }
    };
}

tuple_aggregates!(A 0, B 1);
tuple_aggregates!(A 0, B 1, C 2);
tuple_aggregates!(A 0, B 1, C 2, D 3);
