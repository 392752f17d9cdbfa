//! [`DescribeShape`]: the consistency boundary of a command, as a catalog describes and explores it.

use std::any::Any;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::shape::{List, Optional, Shape, Single, WithFound, WithQueries};
use factum_engine::boundary::{AggregateState, Queries};
use factum_engine::event::Event;
use factum_engine::events::Events;
use factum_engine::record::RecordedEvent;

use super::type_name::type_name;

/// The shape of a consistency boundary that a catalog can describe and explore.
///
/// The shapes of all boundaries of the framework implement it.
#[diagnostic::on_unimplemented(
    message = "a catalog cannot describe the consistency boundary `{Self}`",
    note = "use an aggregate, a tuple of up to four aggregates, or a `Vec` or `Option` of one aggregate type"
)]
pub trait DescribeShape: Shape {
    /// Adds the aggregates and the DCB queries of the shape to `description`.
    #[doc(hidden)]
    fn describe(description: &mut BoundaryDescription);

    /// Adds the state of each aggregate to `states`, each as an `Arc` of the aggregate.
    ///
    /// Found aggregates follow those in whose state they were found, after the command has found them.
    #[doc(hidden)]
    fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>);

    /// Adds the `Events` of each aggregate to `events`, in the order of [`Self::states`].
    #[doc(hidden)]
    fn decided_events<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>);

    /// Adds the event types of the decided events of all aggregates to `names`.
    #[doc(hidden)]
    fn decided_event_types(decision: &Self::Decision, names: &mut Vec<&'static str>);

    /// Applies a recorded event to the states of the DCB queries.
    #[doc(hidden)]
    fn apply_to_queries(_slots: &mut Self::Parts, _record: &RecordedEvent) {}
}

/// The description of a consistency boundary.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct BoundaryDescription {
    /// The aggregates.
    pub aggregates: Vec<BoundaryAggregate>,
    /// The DCB queries: the Rust type of the state, and the event types.
    pub queries: Vec<(&'static str, Vec<&'static str>)>,
}

/// An aggregate, or several of one type, in a consistency boundary.
#[doc(hidden)]
#[derive(Debug)]
pub struct BoundaryAggregate {
    /// The category of the streams.
    pub category: &'static str,
    /// The name of the Rust type.
    pub name: String,
    /// The number of aggregates.
    pub count: AggregateCount,
    /// Whether the command finds them in the state of others.
    pub is_found: bool,
}

/// The number of aggregates of one type in a consistency boundary.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum AggregateCount {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number.
    List,
}

impl BoundaryAggregate {
    fn of<A: Aggregate>(count: AggregateCount) -> Self {
        Self {
            category: A::CATEGORY,
            name: type_name::<A>(),
            count,
            is_found: false,
        }
    }
}

impl<A: Aggregate> DescribeShape for Single<A> {
    fn describe(description: &mut BoundaryDescription) {
        let aggregate = BoundaryAggregate::of::<A>(AggregateCount::One);
        description.aggregates.push(aggregate);
    }

    fn states<'s>(slot: &'s mut AggregateState<A>, states: &mut Vec<&'s mut dyn Any>) {
        states.push(&mut slot.state);
    }

    fn decided_events<'d>(decision: &'d Events<A::Event>, events: &mut Vec<&'d dyn Any>) {
        events.push(decision);
    }

    fn decided_event_types(decision: &Events<A::Event>, names: &mut Vec<&'static str>) {
        let events = decision.as_slice().iter();
        names.extend(events.map(|event| event.event_type().name));
    }
}

impl<A: Aggregate> DescribeShape for List<A> {
    fn describe(description: &mut BoundaryDescription) {
        let aggregate = BoundaryAggregate::of::<A>(AggregateCount::List);
        description.aggregates.push(aggregate);
    }

    fn states<'s>(slots: &'s mut Vec<AggregateState<A>>, states: &mut Vec<&'s mut dyn Any>) {
        for slot in slots {
            Single::<A>::states(slot, states);
        }
    }

    fn decided_events<'d>(decision: &'d Vec<Events<A::Event>>, events: &mut Vec<&'d dyn Any>) {
        for decision in decision {
            Single::<A>::decided_events(decision, events);
        }
    }

    fn decided_event_types(decision: &Vec<Events<A::Event>>, names: &mut Vec<&'static str>) {
        for decision in decision {
            Single::<A>::decided_event_types(decision, names);
        }
    }
}

impl<A: Aggregate> DescribeShape for Optional<A> {
    fn describe(description: &mut BoundaryDescription) {
        let aggregate = BoundaryAggregate::of::<A>(AggregateCount::Optional);
        description.aggregates.push(aggregate);
    }

    fn states<'s>(slot: &'s mut Option<AggregateState<A>>, states: &mut Vec<&'s mut dyn Any>) {
        match slot {
            Some(slot) => Single::<A>::states(slot, states),
            // Keeps the order of the events.
            None => states.push(slot),
        }
    }

    fn decided_events<'d>(decision: &'d Events<A::Event>, events: &mut Vec<&'d dyn Any>) {
        Single::<A>::decided_events(decision, events);
    }

    fn decided_event_types(decision: &Events<A::Event>, names: &mut Vec<&'static str>) {
        Single::<A>::decided_event_types(decision, names);
    }
}

impl<B: DescribeShape, F: DescribeShape> DescribeShape for WithFound<B, F> {
    fn describe(description: &mut BoundaryDescription) {
        B::describe(description);
        let named = description.aggregates.len();
        F::describe(description);
        for found in &mut description.aggregates[named..] {
            found.is_found = true;
        }
    }

    fn states<'s>((named, found): &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>) {
        B::states(named, states);
        if let Some(found) = found {
            F::states(found, states);
        }
    }

    fn decided_events<'d>((named, found): &'d Self::Decision, events: &mut Vec<&'d dyn Any>) {
        B::decided_events(named, events);
        F::decided_events(found, events);
    }

    fn decided_event_types((named, found): &Self::Decision, names: &mut Vec<&'static str>) {
        B::decided_event_types(named, names);
        F::decided_event_types(found, names);
    }
}

impl<B: DescribeShape, L: Queries> DescribeShape for WithQueries<B, L> {
    fn describe(description: &mut BoundaryDescription) {
        B::describe(description);
        L::describe(&mut description.queries);
    }

    fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>) {
        B::states(&mut slots.0, states);
    }

    fn decided_events<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>) {
        B::decided_events(decision, events);
    }

    fn decided_event_types(decision: &Self::Decision, names: &mut Vec<&'static str>) {
        B::decided_event_types(decision, names);
    }

    fn apply_to_queries(slots: &mut (B::Parts, L::Parts), record: &RecordedEvent) {
        B::apply_to_queries(&mut slots.0, record);
        if let Err(error) = L::apply(&mut slots.1, record) {
            panic!("{error}");
        }
    }
}

macro_rules! describe_tuple {
    ($($part:ident $index:tt),+) => {
        impl<$($part: DescribeShape),+> DescribeShape for ($($part,)+) {
            fn describe(description: &mut BoundaryDescription) {
                $($part::describe(description);)+
            }

            fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>) {
                $($part::states(&mut slots.$index, states);)+
            }

            fn decided_events<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>) {
                $($part::decided_events(&decision.$index, events);)+
            }

            fn decided_event_types(decision: &Self::Decision, names: &mut Vec<&'static str>) {
                $($part::decided_event_types(&decision.$index, names);)+
            }

            fn apply_to_queries(slots: &mut Self::Parts, record: &RecordedEvent) {
                $($part::apply_to_queries(&mut slots.$index, record);)+
            }
        }
    };
}

describe_tuple!(A 0, B 1);
describe_tuple!(A 0, B 1, C 2);
describe_tuple!(A 0, B 1, C 2, D 3);
