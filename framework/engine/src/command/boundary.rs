//! [`Boundary`]: the consistency boundary of a command, as a type.

use factum_core::append::{Append, AppendEvent, ExpectedStream};
use factum_core::position::Position;
use factum_core::record::RecordedEvent;
use factum_core::stream_id::{InvalidStreamId, StreamId};
use factum_core::tag::InvalidTag;
use factum_core::timestamp::Timestamp;

use crate::command::part::BoundaryParts;
use crate::command::sealed::Sealed;
use crate::command::shape::{List, Shape, Single};
use crate::domain::aggregate::Aggregate;
use crate::domain::codec::Encoder;
use crate::domain::deadline::DeadlineChanges;
use crate::domain::error::EncodeError;
use crate::domain::event_form::EventForm as _;
use crate::domain::events::Events;
use crate::state::aggregate_state::AggregateState;

/// A consistency boundary: the events whose change makes a decision invalid.
///
/// A boundary is an aggregate, a `Vec` or an `Option` of one, or a tuple of up to four boundaries. Found aggregates
/// ([`Found`](crate::boundary::Found)), a DCB query ([`Queried`](crate::boundary::Queried)) and the time
/// ([`Timed`](crate::boundary::Timed)) extend it. The trait is sealed: it is implemented for these types only.
#[diagnostic::on_unimplemented(
    message = "a command cannot look at `{Self}`",
    label = "neither an aggregate, nor a tuple of up to four, nor a `Vec` or `Option` of one",
    note = "name a type that derives `Aggregate`, or several: `on = (Account, Ledger)`, `on = Vec<Account>`",
    note = "if it is a `Queried` with a `Folded` state, the state must implement `Default` and `Apply` for each event of its query"
)]
pub trait Boundary: Sealed + Sized + Send + Sync + 'static {
    /// The ids and tags of a command, which select the aggregates and the events.
    type Target<'a>;
    /// The state that [`decide`](crate::command::Decide::decide) receives.
    type State<'a>;
    /// The events that [`decide`](crate::command::Decide::decide) returns.
    type Decision: Send;
    /// The states of the parts: one for each stream, and one for a query.
    #[doc(hidden)]
    type Parts: Send + Sync;
    /// The shape of the boundary.
    #[doc(hidden)]
    type Shape: Shape<Parts = Self::Parts, Decision = Self::Decision>;
    /// Whether a state needs the records of its events, which exist only after they are stored.
    #[doc(hidden)]
    const NEEDS_RECORDS: bool;
    /// Whether the boundary has a DCB query.
    #[doc(hidden)]
    const HAS_QUERIES: bool = false;
    /// Whether the command finds streams in the state of others.
    #[doc(hidden)]
    const FINDS: bool = false;

    /// Returns the parts without any events.
    ///
    /// # Errors
    /// Returns [`InvalidTarget`] if an id or a tag is not valid.
    #[doc(hidden)]
    fn parts(target: Self::Target<'_>) -> Result<Self::Parts, InvalidTarget>;

    /// Adds each part to `list`; those with streams are in the order of the append.
    #[doc(hidden)]
    fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>);

    /// Finds streams in the state of the parts, and returns whether they are others than before.
    ///
    /// The parts of other streams are without any events. An error leaves the parts unchanged.
    ///
    /// # Errors
    /// Returns [`FindError`] if the command cannot use the streams.
    #[doc(hidden)]
    fn find(_parts: &mut Self::Parts, _target: Self::Target<'_>) -> Result<bool, FindError> {
        Ok(false)
    }

    /// Returns the state for the decision; `now` returns the time.
    #[doc(hidden)]
    fn state<'p>(parts: &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p>;

    /// Encodes the decision, and adds its streams and events to `append`.
    ///
    /// # Errors
    /// Returns [`EncodeError`] if an event cannot be encoded.
    #[doc(hidden)]
    fn encode(
        parts: &Self::Parts,
        decision: &Self::Decision,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError>;

    /// Calls `visit` for each stream whose deadlines the decision changes.
    #[doc(hidden)]
    fn for_each_deadline<'d>(
        parts: &'d Self::Parts,
        decision: &'d Self::Decision,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    );

    /// Applies a decision to the states.
    ///
    /// `places` are the places of its events, in their order.
    #[doc(hidden)]
    fn apply_decision(
        parts: &mut Self::Parts,
        decision: Self::Decision,
        places: &mut DecisionPlaces<'_>,
    );
}

/// The places of the events of a decision in the log.
#[doc(hidden)]
#[derive(Debug)]
pub enum DecisionPlaces<'r> {
    /// The events are stored as these records.
    Stored(std::slice::Iter<'r, RecordedEvent>),
    /// The events are not stored yet. This is the position of the last applied event.
    Pending(Position),
}

impl<'r> DecisionPlaces<'r> {
    /// Creates the places of stored events.
    pub fn stored(records: &'r [RecordedEvent]) -> Self {
        Self::Stored(records.iter())
    }

    /// Applies the next event to the state.
    fn apply_next<A: Aggregate>(&mut self, event: A::Event, part: &mut AggregateState<A>) {
        match self {
            Self::Stored(records) => {
                // A receipt has a record for each event of the decision.
                if let Some(record) = records.next() {
                    part.apply([event], record);
                }
            }
            Self::Pending(position) => {
                *position = position.plus(1);
                part.apply_pending(event, *position);
            }
        }
    }
}

/// An id or a tag of a command is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// An id is not a valid key of a stream.
    #[error(transparent)]
    Stream(#[from] InvalidStreamId),
    /// A value is not a valid tag.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
}

/// A command finds streams that it cannot use.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// An id is not valid.
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// A stream is found twice, or the command names it, too.
    #[error("the command uses {0} twice; each stream of a command must be distinct")]
    DuplicateStream(StreamId),
}

impl<A: Aggregate> Sealed for A {}

impl<A: Aggregate> Boundary for A {
    type Target<'a> = &'a A::Id;
    type State<'a> = &'a A;
    type Decision = Events<A::Event>;
    type Parts = AggregateState<A>;
    type Shape = Single<A>;
    const NEEDS_RECORDS: bool = A::Applied::NEEDS_RECORD;

    fn parts(id: &A::Id) -> Result<AggregateState<A>, InvalidTarget> {
        Ok(AggregateState::new(A::stream(id)?))
    }

    fn list_parts<'p>(part: &'p mut AggregateState<A>, list: &mut BoundaryParts<'p>) {
        list.push(part);
    }

    fn state<'p>(part: &'p AggregateState<A>, _: &dyn Fn() -> Timestamp) -> &'p A {
        &part.state
    }

    fn encode(
        part: &AggregateState<A>,
        decision: &Events<A::Event>,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        let stream = append.streams.len();
        append.streams.push(ExpectedStream {
            stream: part.stream.clone(),
            expected: part.expected_version(),
        });
        let decision = decision.as_slice();
        append.events.reserve(decision.len());
        for event in decision {
            let event = encoder.encode(event)?;
            append.events.push(AppendEvent { stream, event });
        }
        Ok(())
    }

    fn for_each_deadline<'d>(
        part: &'d AggregateState<A>,
        decision: &'d Events<A::Event>,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        if let Some(deadlines) = decision.deadlines() {
            visit(&part.stream, deadlines);
        }
    }

    fn apply_decision(
        part: &mut AggregateState<A>,
        decision: Events<A::Event>,
        places: &mut DecisionPlaces<'_>,
    ) {
        for event in decision {
            places.apply_next(event, part);
        }
    }
}

impl<A: Aggregate> Sealed for Vec<A> {}

impl<A: Aggregate> Boundary for Vec<A> {
    type Target<'a> = &'a [A::Id];
    type State<'a> = Vec<&'a A>;
    type Decision = Vec<Events<A::Event>>;
    type Parts = Vec<AggregateState<A>>;
    type Shape = List<A>;
    const NEEDS_RECORDS: bool = A::Applied::NEEDS_RECORD;

    fn parts(ids: &[A::Id]) -> Result<Vec<AggregateState<A>>, InvalidTarget> {
        ids.iter().map(<A as Boundary>::parts).collect()
    }

    fn list_parts<'p>(parts: &'p mut Vec<AggregateState<A>>, list: &mut BoundaryParts<'p>) {
        for part in parts {
            list.push(part);
        }
    }

    fn state<'p>(parts: &'p Vec<AggregateState<A>>, now: &dyn Fn() -> Timestamp) -> Vec<&'p A> {
        parts.iter().map(|part| A::state(part, now)).collect()
    }

    fn encode(
        parts: &Vec<AggregateState<A>>,
        decision: &Vec<Events<A::Event>>,
        encoder: &mut Encoder,
        append: &mut Append,
    ) -> Result<(), EncodeError> {
        if decision.len() != parts.len() {
            let (actual, expected) = (decision.len(), parts.len());
            let source = format!(
                "it has {actual} lists of events, expected {expected}; return one for each aggregate of {}",
                A::CATEGORY
            );
            return Err(EncodeError {
                name: "the decision",
                source: source.into(),
            });
        }
        parts
            .iter()
            .zip(decision)
            .try_for_each(|(part, events)| A::encode(part, events, encoder, append))
    }

    fn for_each_deadline<'d>(
        parts: &'d Vec<AggregateState<A>>,
        decision: &'d Vec<Events<A::Event>>,
        visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
    ) {
        for (part, events) in parts.iter().zip(decision) {
            A::for_each_deadline(part, events, visit);
        }
    }

    fn apply_decision(
        parts: &mut Vec<AggregateState<A>>,
        decision: Vec<Events<A::Event>>,
        places: &mut DecisionPlaces<'_>,
    ) {
        for (part, events) in parts.iter_mut().zip(decision) {
            A::apply_decision(part, events, places);
        }
    }
}

macro_rules! tuple_boundary {
    ($($part:ident $index:tt),+) => {
        impl<$($part: Sealed),+> Sealed for ($($part,)+) {}

        impl<$($part: Boundary),+> Boundary for ($($part,)+) {
            type Target<'a> = ($($part::Target<'a>,)+);
            type State<'a> = ($($part::State<'a>,)+);
            type Decision = ($($part::Decision,)+);
            type Parts = ($($part::Parts,)+);
            type Shape = ($($part::Shape,)+);
            const NEEDS_RECORDS: bool = $($part::NEEDS_RECORDS)||+;
            const HAS_QUERIES: bool = $($part::HAS_QUERIES)||+;
            const FINDS: bool = $($part::FINDS)||+;

            fn parts(target: Self::Target<'_>) -> Result<Self::Parts, InvalidTarget> {
                Ok(($($part::parts(target.$index)?,)+))
            }

            fn list_parts<'p>(parts: &'p mut Self::Parts, list: &mut BoundaryParts<'p>) {
                $($part::list_parts(&mut parts.$index, list);)+
            }

            fn find(parts: &mut Self::Parts, target: Self::Target<'_>) -> Result<bool, FindError> {
                Ok([$($part::find(&mut parts.$index, target.$index)?),+].contains(&true))
            }

            fn state<'p>(parts: &'p Self::Parts, now: &dyn Fn() -> Timestamp) -> Self::State<'p> {
                ($($part::state(&parts.$index, now),)+)
            }

            fn encode(
                parts: &Self::Parts,
                decision: &Self::Decision,
                encoder: &mut Encoder,
                append: &mut Append,
            ) -> Result<(), EncodeError> {
                $($part::encode(&parts.$index, &decision.$index, encoder, append)?;)+
                Ok(())
            }

            fn for_each_deadline<'d>(
                parts: &'d Self::Parts,
                decision: &'d Self::Decision,
                visit: &mut dyn FnMut(&'d StreamId, &'d DeadlineChanges),
            ) {
                $($part::for_each_deadline(&parts.$index, &decision.$index, visit);)+
            }

            fn apply_decision(
                parts: &mut Self::Parts,
                decision: Self::Decision,
                places: &mut DecisionPlaces<'_>,
            ) {
                $($part::apply_decision(&mut parts.$index, decision.$index, places);)+
            }
        }
    };
}

tuple_boundary!(A 0, B 1);
tuple_boundary!(A 0, B 1, C 2);
tuple_boundary!(A 0, B 1, C 2, D 3);
