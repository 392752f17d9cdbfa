//! Given these events, when this command, then those events, or this rejection.

use std::fmt::Debug;
use std::sync::Arc;

use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::shape::{List, Shape, Single, WithQuery};
use factum_engine::boundary::{AggregateState, Boundary, QueryState};
use factum_engine::codec;
use factum_engine::command::Decide;
use factum_engine::error::error_chain;
use factum_engine::event::Event;
use factum_engine::event_set::{ApplySet, EventSet};
use factum_engine::events::Events;
use factum_engine::record::{DecodeEvent as _, Place, RecordedEvent};

/// Begins a scenario: these events have happened.
///
/// | the command looks at | `given` takes, and `then` |
/// |---|---|
/// | one aggregate | `[event, …]`, a `Vec` of events, or `()` for none; `then`: [`Events`], too |
/// | several | a tuple of these |
/// | a list | a `Vec` of these |
/// | and a tag query | `given`: a tuple of the above and the events that the query may find; `then`: the above |
///
/// Every event takes the way through its stored form, so that one that would not survive storage shows here.
///
/// ```
/// # use factum::prelude::*;
/// # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # enum DoorEvent { Opened, Closed }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "door", id = u8, event = DoorEvent)]
/// # struct Door { open: bool }
/// # impl Apply<DoorEvent> for Door {
/// #     fn apply(&mut self, event: &DoorEvent) { self.open = matches!(event, DoorEvent::Opened) }
/// # }
/// # #[derive(Command, Serialize)]
/// # #[command(on = Door)]
/// # struct Close { #[id] door: u8 }
/// # #[derive(Debug, PartialEq)]
/// # struct AlreadyClosed;
/// # impl std::fmt::Display for AlreadyClosed {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("closed") }
/// # }
/// # impl std::error::Error for AlreadyClosed {}
/// # impl Decide for Close {
/// #     type Error = AlreadyClosed;
/// #     fn decide(&self, door: &Door) -> Result<Events<DoorEvent>, AlreadyClosed> {
/// #         if door.open { Ok(DoorEvent::Closed.into()) } else { Err(AlreadyClosed) }
/// #     }
/// # }
/// use factum_testkit::given;
///
/// given([DoorEvent::Opened]).when(Close { door: 1 }).then([DoorEvent::Closed]);
/// given(()).when(Close { door: 1 }).then_rejected(AlreadyClosed);
/// ```
pub fn given<G>(past: G) -> Given<G> {
    Given { past }
}

/// What has happened. Made by [`given`].
#[must_use = "a scenario without `when` and `then` tests nothing"]
#[derive(Debug)]
pub struct Given<G> {
    past: G,
}

/// What a command decided. Ends with one of its `then`s.
#[must_use = "a scenario without `then` tests nothing"]
pub struct Scenario<C: Decide> {
    decided: Result<<C::On as Boundary>::Decision, C::Error>,
}

impl<G> Given<G> {
    /// The command decides on what has happened.
    ///
    /// # Panics
    /// If an id or a tag breaks the rules of its text, an event does not survive its stored form, or the decision sets a
    /// deadline that cannot be kept.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn when<C: Decide>(self, command: C) -> Scenario<C>
    where
        G: Past<<C::On as Boundary>::Shape>,
    {
        let mut slots = match C::On::parts(command.target()) {
            Ok(slots) => slots,
            Err(error) => panic!("{error}"),
        };
        self.past.fill(&mut slots);
        let decided = command.decide(C::On::state(&slots));
        if let Ok(decision) = &decided {
            C::On::for_each_deadline(&slots, decision, &mut |_, orders| {
                if let Err(invalid) = orders.validated() {
                    panic!("{invalid}");
                }
            });
        }
        Scenario { decided }
    }
}

impl<C: Decide> Scenario<C> {
    /// These events, and no others. With deadlines they are written as in a decision:
    /// `Events::from(…).deadline(…)`; where none is named, none may be set or cancelled.
    ///
    /// # Panics
    /// If the command was rejected or decided otherwise.
    #[track_caller]
    pub fn then(self, expected: impl Outcome<<C::On as Boundary>::Shape>)
    where
        <C::On as Boundary>::Decision: PartialEq + Debug,
    {
        match self.decided {
            Ok(decision) => assert_eq!(
                decision,
                expected.decision(),
                "{} decided otherwise",
                C::NAME
            ),
            Err(rejection) => panic!("{} was rejected: {rejection}", C::NAME),
        }
    }

    /// This rejection.
    ///
    /// # Panics
    /// If the command was not rejected, or for another reason.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn then_rejected(self, expected: C::Error)
    where
        C::Error: PartialEq,
        <C::On as Boundary>::Decision: Debug,
    {
        match self.decided {
            Ok(decision) => panic!("{} was not rejected, it decided {decision:?}", C::NAME),
            Err(rejection) => assert_eq!(rejection, expected, "{} was rejected otherwise", C::NAME),
        }
    }

    /// The decision itself, for what the other `then`s cannot say.
    ///
    /// # Errors
    /// The rejection.
    pub fn result(self) -> Result<<C::On as Boundary>::Decision, C::Error> {
        self.decided
    }
}

/// What can be `given` for the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what can have happened to `{B}`",
    note = "give a list of events for one aggregate, a tuple of lists for several, `()` for nothing"
)]
pub trait Past<B: Shape> {
    /// Lets it happen.
    fn fill(self, slots: &mut B::Parts);
}

/// What `then` can name for the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a command on `{B}` can decide",
    note = "name a list of events for one aggregate, a tuple of lists for several, `()` for nothing"
)]
pub trait Outcome<B: Shape> {
    /// The decision that is meant.
    fn decision(self) -> B::Decision;
}

/// Events of any types, for a tag query.
pub trait Facts {
    /// Adds them in stored form.
    fn record(self, records: &mut Vec<RecordedEvent>);
}

#[track_caller]
fn record<E: Event>(event: &E, stream: StreamId, version: Version) -> RecordedEvent {
    let stored = match codec::encode(event, &Arc::new(Metadata::default())) {
        Ok(stored) => stored,
        Err(error) => panic!("{error}: {}", error.source),
    };
    let position = Position::new(version.get());
    RecordedEvent::new(
        stored,
        stream,
        Place {
            position,
            version,
            recorded_at: Timestamp::now(),
        },
    )
}

#[track_caller]
fn fill<A: Aggregate>(events: impl IntoIterator<Item = A::Event>, slot: &mut AggregateState<A>) {
    for event in events {
        let stored = record(&event, slot.stream.clone(), slot.version.plus(1));
        match stored.decode() {
            Ok(event) => slot.apply(&event, stored.position),
            Err(error) => panic!("{}", error_chain(&error)),
        }
    }
}

impl<B: Shape> Past<B> for () {
    fn fill(self, _: &mut B::Parts) {}
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> Past<Single<A>> for [A::Event; N] {
    fn fill(self, slot: &mut AggregateState<A>) {
        fill(self, slot);
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Past<Single<A>> for Vec<A::Event> {
    fn fill(self, slot: &mut AggregateState<A>) {
        fill(self, slot);
    }
}

impl<A: Aggregate, G: Past<Single<A>>> Past<List<A>> for Vec<G> {
    fn fill(self, slots: &mut Vec<AggregateState<A>>) {
        assert_eq!(
            self.len(),
            slots.len(),
            "one list of events for each aggregate"
        );
        for (past, slot) in self.into_iter().zip(slots) {
            past.fill(slot);
        }
    }
}

impl<B, Q, S, G, F> Past<WithQuery<B, Q, S>> for (G, F)
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    G: Past<B>,
    F: Facts,
{
    fn fill(self, slots: &mut (B::Parts, QueryState<Q, S>)) {
        self.0.fill(&mut slots.0);
        let mut records = Vec::new();
        self.1.record(&mut records);
        for record in records {
            if let Err(error) = slots.1.apply(&record) {
                panic!("{}", error_chain(&error));
            }
        }
    }
}

impl<B: Shape> Outcome<B> for ()
where
    B::Decision: Default,
{
    fn decision(self) -> B::Decision {
        B::Decision::default()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> Outcome<Single<A>> for [A::Event; N] {
    fn decision(self) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Outcome<Single<A>> for Vec<A::Event> {
    fn decision(self) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Outcome<Single<A>> for Events<A::Event> {
    fn decision(self) -> Self {
        self
    }
}

impl<A: Aggregate, X: Outcome<Single<A>>> Outcome<List<A>> for Vec<X> {
    fn decision(self) -> Vec<Events<A::Event>> {
        self.into_iter()
            .map(Outcome::<Single<A>>::decision)
            .collect()
    }
}

impl<B, Q, S, X, const N: usize> Outcome<WithQuery<B, Q, S>> for [X; N]
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    [X; N]: Outcome<B>,
{
    fn decision(self) -> B::Decision {
        Outcome::<B>::decision(self)
    }
}

impl<B, Q, S, E> Outcome<WithQuery<B, Q, S>> for Events<E>
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    Self: Outcome<B>,
{
    fn decision(self) -> B::Decision {
        Outcome::<B>::decision(self)
    }
}

impl<B, Q, S, X, Y> Outcome<WithQuery<B, Q, S>> for (X, Y)
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    (X, Y): Outcome<B>,
{
    fn decision(self) -> B::Decision {
        Outcome::<B>::decision(self)
    }
}

impl Facts for () {
    fn record(self, _: &mut Vec<RecordedEvent>) {}
}

impl<E: Event, const N: usize> Facts for [E; N] {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        Vec::from(self).record(records);
    }
}

impl<E: Event> Facts for Vec<E> {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        let stream = StreamId::new("given", "events").unwrap_or_else(|error| panic!("{error}"));
        for event in self {
            let version = Version::new(records.len() as u64 + 1);
            records.push(record(&event, stream.clone(), version));
        }
    }
}

impl<F: Facts, G: Facts> Facts for (F, G) {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        self.0.record(records);
        self.1.record(records);
    }
}

macro_rules! tuple_scenario {
    ($($part:ident $past:ident $index:tt),+) => {
        impl<$($part: Shape, $past: Past<$part>),+> Past<($($part,)+)> for ($($past,)+) {
            fn fill(self, slots: &mut ($($part::Parts,)+)) {
                $(self.$index.fill(&mut slots.$index);)+
            }
        }

        impl<$($part: Shape, $past: Outcome<$part>),+> Outcome<($($part,)+)> for ($($past,)+) {
            fn decision(self) -> ($($part::Decision,)+) {
                ($(self.$index.decision(),)+)
            }
        }
    };
}

tuple_scenario!(A X 0, B Y 1);
tuple_scenario!(A X 0, B Y 1, C Z 2);
tuple_scenario!(A X 0, B Y 1, C Z 2, D W 3);
