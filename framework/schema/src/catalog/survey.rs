//! [`Surveyed`]: what a command looks at, told by its type.

use std::any::Any;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::shape::{List, Shape, Single, WithQuery};
use factum_engine::boundary::{AggregateState, QueryState};
use factum_engine::error::error_chain;
use factum_engine::event::Event;
use factum_engine::event_set::{ApplySet, EventSet};
use factum_engine::events::Events;
use factum_engine::record::RecordedEvent;

use super::rust_name;

/// The shape of a boundary that a catalog can describe and explore. Every boundary of the framework is one.
#[diagnostic::on_unimplemented(
    message = "a catalog cannot describe what a command on `{Self}` looks at",
    note = "name an aggregate, a tuple of up to four, or a `Vec` of one"
)]
pub trait Surveyed: Shape {
    #[doc(hidden)]
    fn outline(outline: &mut Outline);

    /// The state of each aggregate, an `Arc` of it.
    #[doc(hidden)]
    fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>);

    /// The `Events` for each aggregate, in the order of [`Self::states`].
    #[doc(hidden)]
    fn decided<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>);

    /// The stored names of the events for every aggregate.
    #[doc(hidden)]
    fn told(decision: &Self::Decision, names: &mut Vec<&'static str>);

    /// Shows what has happened to the tag query.
    #[doc(hidden)]
    fn recall(_slots: &mut Self::Parts, _record: &RecordedEvent) {}
}

/// What a command looks at.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Outline {
    pub aggregates: Vec<Looked>,
    /// The state of the tag query, and the events that it takes.
    pub query: Option<(String, Vec<&'static str>)>,
}

#[derive(Debug)]
pub struct Looked {
    pub category: &'static str,
    pub name: String,
    pub is_list: bool,
}

fn looked<A: Aggregate>(is_list: bool) -> Looked {
    Looked {
        category: A::CATEGORY,
        name: rust_name::<A>(),
        is_list,
    }
}

impl<A: Aggregate> Surveyed for Single<A> {
    fn outline(outline: &mut Outline) {
        outline.aggregates.push(looked::<A>(false));
    }

    fn states<'s>(slot: &'s mut AggregateState<A>, states: &mut Vec<&'s mut dyn Any>) {
        states.push(&mut slot.state);
    }

    fn decided<'d>(decision: &'d Events<A::Event>, events: &mut Vec<&'d dyn Any>) {
        events.push(decision);
    }

    fn told(decision: &Events<A::Event>, names: &mut Vec<&'static str>) {
        let events = decision.as_slice().iter();
        names.extend(events.map(|event| event.event_type().name));
    }
}

impl<A: Aggregate> Surveyed for List<A> {
    fn outline(outline: &mut Outline) {
        outline.aggregates.push(looked::<A>(true));
    }

    fn states<'s>(slots: &'s mut Vec<AggregateState<A>>, states: &mut Vec<&'s mut dyn Any>) {
        for slot in slots {
            Single::<A>::states(slot, states);
        }
    }

    fn decided<'d>(decision: &'d Vec<Events<A::Event>>, events: &mut Vec<&'d dyn Any>) {
        for decision in decision {
            Single::<A>::decided(decision, events);
        }
    }

    fn told(decision: &Vec<Events<A::Event>>, names: &mut Vec<&'static str>) {
        for decision in decision {
            Single::<A>::told(decision, names);
        }
    }
}

impl<B, Q, S> Surveyed for WithQuery<B, Q, S>
where
    B: Surveyed,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
{
    fn outline(outline: &mut Outline) {
        B::outline(outline);
        outline.query = Some((rust_name::<Q>(), S::names()));
    }

    fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>) {
        B::states(&mut slots.0, states);
    }

    fn decided<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>) {
        B::decided(decision, events);
    }

    fn told(decision: &Self::Decision, names: &mut Vec<&'static str>) {
        B::told(decision, names);
    }

    fn recall(slots: &mut (B::Parts, QueryState<Q, S>), record: &RecordedEvent) {
        B::recall(&mut slots.0, record);
        if let Err(error) = slots.1.apply(record) {
            panic!("{}", error_chain(&error));
        }
    }
}

macro_rules! tuple_survey {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Surveyed),+> Surveyed for ($($part,)+) {
            fn outline(outline: &mut Outline) {
                $($part::outline(outline);)+
            }

            fn states<'s>(slots: &'s mut Self::Parts, states: &mut Vec<&'s mut dyn Any>) {
                $($part::states(&mut slots.$index, states);)+
            }

            fn decided<'d>(decision: &'d Self::Decision, events: &mut Vec<&'d dyn Any>) {
                $($part::decided(&decision.$index, events);)+
            }

            fn told(decision: &Self::Decision, names: &mut Vec<&'static str>) {
                $($part::told(&decision.$index, names);)+
            }

            fn recall(slots: &mut Self::Parts, record: &RecordedEvent) {
                $($part::recall(&mut slots.$index, record);)+
            }
        }
    };
}

tuple_survey!(A 0, B 1);
tuple_survey!(A 0, B 1, C 2);
tuple_survey!(A 0, B 1, C 2, D 3);
