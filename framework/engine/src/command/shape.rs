//! The shape of a boundary as a type, for other crates that treat each kind of boundary differently.

use std::marker::PhantomData;

use crate::command::queries::Queries;
use crate::domain::aggregate::Aggregate;
use crate::domain::events::Events;
use crate::state::aggregate_state::AggregateState;

/// The shape of a boundary. Tuples of shapes are shapes.
///
/// Another crate implements its own trait for each shape. It could not implement the trait for boundaries: for its
/// compiler, an aggregate type and a `Vec` of aggregates might be the same type.
pub trait Shape {
    /// The states of the parts.
    type Parts;
    /// The type of a decision.
    type Decision;
}

/// The shape of one aggregate.
#[derive(Debug)]
pub struct Single<A>(PhantomData<fn() -> A>);

/// The shape of a list of aggregates of one type.
#[derive(Debug)]
pub struct List<A>(PhantomData<fn() -> A>);

/// The shape of an aggregate that may be missing.
#[derive(Debug)]
pub struct Optional<A>(PhantomData<fn() -> A>);

/// The shape `S` with the shape `F` of the aggregates that the command finds.
#[derive(Debug)]
pub struct WithFound<S, F> {
    named: PhantomData<fn() -> S>,
    found: PhantomData<fn() -> F>,
}

/// The shape `S` with the DCB queries `L`.
#[derive(Debug)]
pub struct WithQueries<S, L> {
    shape: PhantomData<fn() -> S>,
    queries: PhantomData<fn() -> L>,
}

impl<A: Aggregate> Shape for Single<A> {
    type Parts = AggregateState<A>;
    type Decision = Events<A::Event>;
}

impl<A: Aggregate> Shape for List<A> {
    type Parts = Vec<AggregateState<A>>;
    type Decision = Vec<Events<A::Event>>;
}

impl<A: Aggregate> Shape for Optional<A> {
    type Parts = Option<AggregateState<A>>;
    type Decision = Events<A::Event>;
}

impl<S: Shape, F: Shape> Shape for WithFound<S, F> {
    type Parts = (S::Parts, Option<F::Parts>);
    type Decision = (S::Decision, F::Decision);
}

impl<S: Shape, L: Queries> Shape for WithQueries<S, L> {
    type Parts = (S::Parts, L::Parts);
    type Decision = S::Decision;
}

macro_rules! tuple_shape {
    ($($part:ident),+) => {
        impl<$($part: Shape),+> Shape for ($($part,)+) {
            type Parts = ($($part::Parts,)+);
            type Decision = ($($part::Decision,)+);
        }
    };
}

tuple_shape!(A, B);
tuple_shape!(A, B, C);
tuple_shape!(A, B, C, D);
