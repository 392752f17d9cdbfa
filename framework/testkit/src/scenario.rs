//! Given/when/then scenarios for commands.

use std::fmt::Debug;
use std::sync::Arc;

use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::shape::{List, Shape, Single, WithQuery};
use factum_engine::boundary::{AggregateState, Boundary, QueryState};
use factum_engine::codec::{self, Encoder, Verification};
use factum_engine::command::Decide;
use factum_engine::event::Event;
use factum_engine::event_set::{ApplySet, EventSet};
use factum_engine::events::Events;
use factum_engine::record::{Assigned, DecodeEvent as _, RecordedEvent};

/// Starts a scenario with the events that are stored before the command is executed.
///
/// A scenario tests a command without a store: `given(events).when(command).then(events)`.
///
/// | the command reads | `given` expects | `then` expects |
/// |---|---|---|
/// | one aggregate | `[event, …]`, a `Vec` of events, or `()` for no events | the same, or [`Events`] |
/// | several aggregates | a tuple of these | a tuple of these |
/// | a list of aggregates | a `Vec` of these | a `Vec` of these |
/// | any of these and a DCB query | a tuple of the above and the events that the query may find | the above |
///
/// Every event is serialized and deserialized as in a store, so a scenario fails if an event does not survive storage.
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
    Given { past, now: None }
}

/// The first step of a scenario: the events that happened before. Created by [`given`].
#[must_use = "a scenario without `when` and `then` tests nothing"]
#[derive(Debug)]
pub struct Given<G> {
    past: G,
    now: Option<Timestamp>,
}

/// The second step of a scenario: the decision of a command. Created by [`Given::when`].
///
/// Check it with [`then`](Self::then), [`then_rejected`](Self::then_rejected) or [`result`](Self::result).
#[must_use = "a scenario without `then` tests nothing"]
pub struct Scenario<C: Decide> {
    result: Result<<C::On as Boundary>::Decision, C::Error>,
}

impl<G> Given<G> {
    /// Sets the time that the decision of a command with `now` receives. The default is the system time.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Executes [`Decide::decide`] of `command` on the state that the given events produce.
    ///
    /// # Panics
    /// If an id or a tag of the command is not valid, if an event cannot be serialized or deserialized, or if the
    /// decision sets a deadline that is not valid.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn when<C: DecideAfter<G>>(self, command: C) -> Scenario<C> {
        let mut parts = match C::On::parts(command.target()) {
            Ok(parts) => parts,
            Err(error) => panic!("the target of {} is not valid: {error}", C::NAME),
        };
        C::fill(self.past, &mut parts);
        let now = self.now.unwrap_or_else(Timestamp::now);
        let result = command.decide(C::On::state(&parts, &|| now));
        if let Ok(decision) = &result {
            let mut encoder = Encoder {
                ids: EventIdGenerator::now(),
                metadata: Arc::new(Metadata::default()),
                verification: Verification::Full,
            };
            let mut encoded = Vec::new();
            if let Err(error) = C::On::encode(&parts, decision, &mut encoder, &mut encoded) {
                panic!("the decision of {}: {error}: {}", C::NAME, error.source);
            }
            C::On::for_each_deadline(&parts, decision, &mut |_, deadlines| {
                if let Err(invalid) = deadlines.validated() {
                    panic!("the decision of {} is not valid: {invalid}", C::NAME);
                }
            });
        }
        Scenario { result }
    }
}

impl<C: Decide> Scenario<C> {
    /// Asserts that the command stores exactly `expected`, in this order.
    ///
    /// To expect deadlines, write them as in a decision: `Events::from(…).deadline(…)`. An expectation without
    /// deadlines fails if the decision sets or cancels one.
    ///
    /// # Panics
    /// If the command is rejected, or if its decision is not `expected`.
    #[track_caller]
    pub fn then(self, expected: impl ExpectedOutcome<<C::On as Boundary>::Shape>)
    where
        <C::On as Boundary>::Decision: PartialEq + Debug,
    {
        let expected = expected.decision();
        match self.result {
            Ok(decision) => assert!(
                decision == expected,
                "unexpected decision of {}\n  expected: {expected:?}\n    actual: {decision:?}",
                C::NAME
            ),
            Err(rejection) => panic!(
                "unexpected rejection of {}\n  expected: {expected:?}\n    actual: rejected: {rejection}",
                C::NAME
            ),
        }
    }

    /// Asserts that the command is rejected with the error `expected`.
    ///
    /// # Panics
    /// If the command is not rejected, or if it is rejected with another error.
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
        match self.result {
            Ok(decision) => panic!(
                "{} was not rejected\n  expected: rejected: {expected}\n    actual: {decision:?}",
                C::NAME
            ),
            Err(rejection) => assert!(
                rejection == expected,
                "unexpected rejection of {}\n  expected: {expected:?}\n    actual: {rejection:?}",
                C::NAME
            ),
        }
    }

    /// Returns the decision, for assertions that [`then`](Self::then) cannot express.
    ///
    /// # Errors
    /// Returns the error of the command if it is rejected.
    pub fn result(self) -> Result<<C::On as Boundary>::Decision, C::Error> {
        self.result
    }
}

/// A command that reads the past events `G`.
///
/// The compiler knows the command before it looks for an implementation, so that it reports a missing [`Past`].
pub trait DecideAfter<G>: Decide {
    /// Applies the past events to the states of the command.
    fn fill(past: G, parts: &mut <Self::On as Boundary>::Parts);
}

impl<C: Decide, G: Past<<C::On as Boundary>::Shape>> DecideAfter<G> for C {
    fn fill(past: G, parts: &mut <C::On as Boundary>::Parts) {
        past.fill(parts);
    }
}

/// The values that [`given`] accepts for a command on the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit the aggregates that the command reads",
    label = "this command reads other aggregates",
    note = "pass a list of events for one aggregate, a tuple of lists for several, or `()` for no events"
)]
pub trait Past<B: Shape> {
    /// Applies the events to the state in `parts`.
    fn fill(self, parts: &mut B::Parts);
}

/// The values that [`Scenario::then`] accepts for a command on the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the decision of a command on `{B}`",
    note = "pass a list of events for one aggregate, a tuple of lists for several, or `()` for no events"
)]
pub trait ExpectedOutcome<B: Shape> {
    /// Returns the expected decision.
    fn decision(self) -> B::Decision;
}

/// Lists of events of any types, as input of a DCB query or of a process manager.
pub trait EventLists {
    /// Appends the events to `records` in serialized form.
    fn record(self, records: &mut Vec<RecordedEvent>);
}

#[track_caller]
fn record<E: Event>(event: &E, stream: StreamId, version: Version) -> RecordedEvent {
    let encoded = match codec::encode(event, &Arc::new(Metadata::default())) {
        Ok(encoded) => encoded,
        Err(error) => panic!("{error}: {}", error.source),
    };
    let position = Position::new(version.get());
    RecordedEvent::new(
        encoded,
        stream,
        Assigned {
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
            Err(error) => panic!(
                "the event {} does not survive storage: {error}",
                stored.name
            ),
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
    fn fill(self, parts: &mut Vec<AggregateState<A>>) {
        assert_eq!(
            self.len(),
            parts.len(),
            "`given` needs one list of events for each aggregate of the command"
        );
        for (past, slot) in self.into_iter().zip(parts) {
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
    F: EventLists,
{
    fn fill(self, parts: &mut (B::Parts, QueryState<Q, S>)) {
        self.0.fill(&mut parts.0);
        let mut records = Vec::new();
        self.1.record(&mut records);
        for record in records {
            if let Err(error) = parts.1.apply(&record) {
                panic!(
                    "the event {} does not survive storage: {error}",
                    record.name
                );
            }
        }
    }
}

impl<B: Shape> ExpectedOutcome<B> for ()
where
    B::Decision: Default,
{
    fn decision(self) -> B::Decision {
        B::Decision::default()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> ExpectedOutcome<Single<A>> for [A::Event; N] {
    fn decision(self) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Single<A>> for Vec<A::Event> {
    fn decision(self) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Single<A>> for Events<A::Event> {
    fn decision(self) -> Self {
        self
    }
}

impl<A: Aggregate, X: ExpectedOutcome<Single<A>>> ExpectedOutcome<List<A>> for Vec<X> {
    fn decision(self) -> Vec<Events<A::Event>> {
        self.into_iter()
            .map(ExpectedOutcome::<Single<A>>::decision)
            .collect()
    }
}

impl<B, Q, S, X, const N: usize> ExpectedOutcome<WithQuery<B, Q, S>> for [X; N]
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    [X; N]: ExpectedOutcome<B>,
{
    fn decision(self) -> B::Decision {
        ExpectedOutcome::<B>::decision(self)
    }
}

impl<B, Q, S, E> ExpectedOutcome<WithQuery<B, Q, S>> for Events<E>
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    Self: ExpectedOutcome<B>,
{
    fn decision(self) -> B::Decision {
        ExpectedOutcome::<B>::decision(self)
    }
}

impl<B, Q, S, X, Y> ExpectedOutcome<WithQuery<B, Q, S>> for (X, Y)
where
    B: Shape,
    Q: ApplySet<S> + Default + Send + Sync + 'static,
    S: EventSet,
    (X, Y): ExpectedOutcome<B>,
{
    fn decision(self) -> B::Decision {
        ExpectedOutcome::<B>::decision(self)
    }
}

impl EventLists for () {
    fn record(self, _: &mut Vec<RecordedEvent>) {}
}

impl<E: Event, const N: usize> EventLists for [E; N] {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        Vec::from(self).record(records);
    }
}

impl<E: Event> EventLists for Vec<E> {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        let stream = StreamId::new("given", "events").unwrap_or_else(|error| panic!("{error}"));
        for event in self {
            let version = Version::new(records.len() as u64 + 1);
            records.push(record(&event, stream.clone(), version));
        }
    }
}

impl<F: EventLists, G: EventLists> EventLists for (F, G) {
    fn record(self, records: &mut Vec<RecordedEvent>) {
        self.0.record(records);
        self.1.record(records);
    }
}

macro_rules! tuple_scenario {
    ($($part:ident $past:ident $index:tt),+) => {
        impl<$($part: Shape, $past: Past<$part>),+> Past<($($part,)+)> for ($($past,)+) {
            fn fill(self, parts: &mut ($($part::Parts,)+)) {
                $(self.$index.fill(&mut parts.$index);)+
            }
        }

        impl<$($part: Shape, $past: ExpectedOutcome<$part>),+> ExpectedOutcome<($($part,)+)> for ($($past,)+) {
            fn decision(self) -> ($($part::Decision,)+) {
                ($(self.$index.decision(),)+)
            }
        }
    };
}

tuple_scenario!(A X 0, B Y 1);
tuple_scenario!(A X 0, B Y 1, C Z 2);
tuple_scenario!(A X 0, B Y 1, C Z 2, D W 3);
