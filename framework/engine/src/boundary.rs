//! [`Boundary`]: what a command looks at, as a type.

mod queried;
pub mod shape;
mod slot;

use crate::aggregate::Aggregate;
use crate::codec::Encoder;
use crate::error::EncodeError;
use crate::events::{DeadlineOrders, Events};
use crate::few::Few;
use factum_core::append::StreamAppend;
use factum_core::position::Position;
use factum_core::stream_id::{InvalidStreamId, StreamId};
use factum_core::tag::InvalidTag;

pub use queried::{Queried, QuerySlot};
pub use shape::Shape;
pub use slot::{Part, Slot};

/// What a command looks at: an aggregate, a tuple of up to four boundaries, a `Vec` of aggregates, or one
/// of these together with a tag query ([`Queried`]).
///
/// The engine drives it: it asks for the parts, loads each, shows the state to the decision, encodes what
/// the decision gives back, and takes it into the state once it is stored.
#[diagnostic::on_unimplemented(
    message = "a command cannot look at `{Self}`",
    label = "neither an aggregate, nor a tuple of up to four, nor a `Vec` of one",
    note = "name a type that derives `Aggregate`, or several: `on = (Account, Ledger)`, `on = Vec<Account>`"
)]
pub trait Boundary: Sized + Send + Sync + 'static {
    /// Which ones: what the command's `#[id]` and `#[tag]` fields give.
    type Target<'a>;
    /// What the decision sees.
    type State<'a>;
    /// What the decision gives back.
    type Decision: Send;
    /// The parts, and what is known of each.
    type Slots: Send + Sync;
    /// The shape of the boundary, for code that treats each kind of boundary differently.
    #[doc(hidden)]
    type Shape: Shape<Slots = Self::Slots, Decision = Self::Decision>;

    /// The parts, with nothing known yet.
    ///
    /// # Errors
    /// [`InvalidTarget`] if an id or a tag breaks the rules of its text.
    fn slots(target: Self::Target<'_>) -> Result<Self::Slots, InvalidTarget>;

    /// The parts one by one, those that hold streams in the order of the append.
    fn parts<'s>(slots: &'s mut Self::Slots, parts: &mut Few<&'s mut dyn Part>);

    /// The state, once every part is loaded.
    fn state(slots: &Self::Slots) -> Self::State<'_>;

    /// The decision in stored form, one entry for each stream.
    ///
    /// # Errors
    /// [`EncodeError`] if an event cannot be serialized.
    fn encode(
        slots: &Self::Slots,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        streams: &mut Vec<StreamAppend>,
    ) -> Result<(), EncodeError>;

    /// Shows the deadlines that the decision sets and cancels, with the stream that each belongs to.
    fn deadlines<'d>(
        slots: &'d Self::Slots,
        decision: &'d Self::Decision,
        each: &mut dyn FnMut(&'d StreamId, &'d DeadlineOrders),
    );

    /// Takes a stored decision into the states; `head` is the position ahead of its first event, and
    /// moves on.
    fn settle(slots: &mut Self::Slots, decision: Self::Decision, head: &mut Position);
}

/// What a command aims at breaks the rules of a stream id or of a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// An id is no key of a stream.
    #[error(transparent)]
    Stream(#[from] InvalidStreamId),
    /// A value is no tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
}

impl<A: Aggregate> Boundary for A {
    type Target<'a> = &'a A::Id;
    type State<'a> = &'a A;
    type Decision = Events<A::Event>;
    type Slots = Slot<A>;
    type Shape = shape::Single<A>;

    fn slots(id: &A::Id) -> Result<Slot<A>, InvalidTarget> {
        Ok(Slot::new(A::stream(id)?))
    }

    fn parts<'s>(slot: &'s mut Slot<A>, parts: &mut Few<&'s mut dyn Part>) {
        parts.push(slot);
    }

    fn state(slot: &Slot<A>) -> &A {
        &slot.state
    }

    fn encode(
        slot: &Slot<A>,
        decision: &Events<A::Event>,
        encoder: &mut Encoder,
        streams: &mut Vec<StreamAppend>,
    ) -> Result<(), EncodeError> {
        let decision = decision.as_slice();
        // Collected by hand: room for results is not set aside, since the first may be the last.
        let mut events = Vec::with_capacity(decision.len());
        for event in decision {
            events.push(encoder.encode(event)?);
        }
        streams.push(StreamAppend {
            stream: slot.stream.clone(),
            expected: slot.expected(),
            events,
        });
        Ok(())
    }

    fn deadlines<'d>(
        slot: &'d Slot<A>,
        decision: &'d Events<A::Event>,
        each: &mut dyn FnMut(&'d StreamId, &'d DeadlineOrders),
    ) {
        if let Some(deadlines) = decision.deadlines() {
            each(&slot.stream, deadlines);
        }
    }

    fn settle(slot: &mut Slot<A>, decision: Events<A::Event>, head: &mut Position) {
        for event in decision {
            *head = head.plus(1);
            slot.take(&event, *head);
        }
    }
}

impl<A: Aggregate> Boundary for Vec<A> {
    type Target<'a> = &'a [A::Id];
    type State<'a> = Vec<&'a A>;
    type Decision = Vec<Events<A::Event>>;
    type Slots = Vec<Slot<A>>;
    type Shape = shape::List<A>;

    fn slots(ids: &[A::Id]) -> Result<Vec<Slot<A>>, InvalidTarget> {
        ids.iter().map(A::slots).collect()
    }

    fn parts<'s>(slots: &'s mut Vec<Slot<A>>, parts: &mut Few<&'s mut dyn Part>) {
        for slot in slots {
            parts.push(slot);
        }
    }

    fn state(slots: &Vec<Slot<A>>) -> Vec<&A> {
        slots.iter().map(A::state).collect()
    }

    fn encode(
        slots: &Vec<Slot<A>>,
        decision: &Vec<Events<A::Event>>,
        encoder: &mut Encoder,
        streams: &mut Vec<StreamAppend>,
    ) -> Result<(), EncodeError> {
        if decision.len() != slots.len() {
            let (got, needed) = (decision.len(), slots.len());
            let source = format!(
                "{got} lists of events for {needed} aggregates of {}",
                A::CATEGORY
            );
            return Err(EncodeError {
                name: "a decision",
                source: source.into(),
            });
        }
        slots
            .iter()
            .zip(decision)
            .try_for_each(|(slot, events)| A::encode(slot, events, encoder, streams))
    }

    fn deadlines<'d>(
        slots: &'d Vec<Slot<A>>,
        decision: &'d Vec<Events<A::Event>>,
        each: &mut dyn FnMut(&'d StreamId, &'d DeadlineOrders),
    ) {
        for (slot, events) in slots.iter().zip(decision) {
            A::deadlines(slot, events, each);
        }
    }

    fn settle(slots: &mut Vec<Slot<A>>, decision: Vec<Events<A::Event>>, head: &mut Position) {
        for (slot, events) in slots.iter_mut().zip(decision) {
            A::settle(slot, events, head);
        }
    }
}

macro_rules! tuple_boundary {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Boundary),+> Boundary for ($($part,)+) {
            type Target<'a> = ($($part::Target<'a>,)+);
            type State<'a> = ($($part::State<'a>,)+);
            type Decision = ($($part::Decision,)+);
            type Slots = ($($part::Slots,)+);
            type Shape = ($($part::Shape,)+);

            fn slots(target: Self::Target<'_>) -> Result<Self::Slots, InvalidTarget> {
                Ok(($($part::slots(target.$index)?,)+))
            }

            fn parts<'s>(slots: &'s mut Self::Slots, parts: &mut Few<&'s mut dyn Part>) {
                $($part::parts(&mut slots.$index, parts);)+
            }

            fn state(slots: &Self::Slots) -> Self::State<'_> {
                ($($part::state(&slots.$index),)+)
            }

            fn encode(
                slots: &Self::Slots,
                decision: &Self::Decision,
                encoder: &mut Encoder,
                streams: &mut Vec<StreamAppend>,
            ) -> Result<(), EncodeError> {
                $($part::encode(&slots.$index, &decision.$index, encoder, streams)?;)+
                Ok(())
            }

            fn deadlines<'d>(
                slots: &'d Self::Slots,
                decision: &'d Self::Decision,
                each: &mut dyn FnMut(&'d StreamId, &'d DeadlineOrders),
            ) {
                $($part::deadlines(&slots.$index, &decision.$index, each);)+
            }

            fn settle(slots: &mut Self::Slots, decision: Self::Decision, head: &mut Position) {
                $($part::settle(&mut slots.$index, decision.$index, head);)+
            }
        }
    };
}

tuple_boundary!(A 0, B 1);
tuple_boundary!(A 0, B 1, C 2);
tuple_boundary!(A 0, B 1, C 2, D 3);
