//! The shape of a boundary, as a type: for code outside this crate that treats each kind of boundary differently.

use std::marker::PhantomData;

use super::{QuerySlot, Slot};
use crate::aggregate::Aggregate;
use crate::events::Events;

/// The shape of a boundary. Tuples of shapes are shapes.
///
/// Other crates implement a trait of their own for each shape. They could not implement it for boundaries: an aggregate
/// type and a `Vec` of aggregates might be the same type as far as their compiler knows.
pub trait Shape {
    /// The state of each part.
    type Slots;
    /// What a decision returns.
    type Decision;
}

/// One aggregate.
#[derive(Debug)]
pub struct Single<A>(PhantomData<fn() -> A>);

/// A list of aggregates of one type.
#[derive(Debug)]
pub struct List<A>(PhantomData<fn() -> A>);

/// The shape `S`, and a DCB query that folds the events `E` into `Q`.
#[derive(Debug)]
#[expect(clippy::type_complexity, reason = "a marker that owns no value")]
pub struct WithQuery<S, Q, E>(PhantomData<fn() -> (S, Q, E)>);

impl<A: Aggregate> Shape for Single<A> {
    type Slots = Slot<A>;
    type Decision = Events<A::Event>;
}

impl<A: Aggregate> Shape for List<A> {
    type Slots = Vec<Slot<A>>;
    type Decision = Vec<Events<A::Event>>;
}

impl<S: Shape, Q, E> Shape for WithQuery<S, Q, E> {
    type Slots = (S::Slots, QuerySlot<Q, E>);
    type Decision = S::Decision;
}

macro_rules! tuple_shape {
    ($($part:ident),+) => {
        impl<$($part: Shape),+> Shape for ($($part,)+) {
            type Slots = ($($part::Slots,)+);
            type Decision = ($($part::Decision,)+);
        }
    };
}

tuple_shape!(A, B);
tuple_shape!(A, B, C);
tuple_shape!(A, B, C, D);
