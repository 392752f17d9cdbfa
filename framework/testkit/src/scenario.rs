//! Given/when/then scenarios for commands.

use std::fmt::Debug;
use std::sync::Arc;

use factum_core::append::{Append, AppendEvent};
use factum_core::event_id::EventIdGenerator;
use factum_core::metadata::Metadata;
use factum_core::timestamp::Timestamp;
use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::shape::{List, Optional, Shape, Single, WithFound, WithQueries};
use factum_engine::boundary::{AggregateState, Boundary, FindError, Queries, check_tags};
use factum_engine::codec::{Encoder, Verification};
use factum_engine::command::Decide;
use factum_engine::event::Event;
use factum_engine::events::Events;
use factum_engine::record::{DecodeEvent as _, RecordedEvent};

use crate::given_log::GivenLog;

/// Starts a scenario with the events that are stored before the command is executed.
///
/// A scenario tests a command without a store: `given(events).when(command).then(events)`.
///
/// | the command reads | `given` expects | `then` expects |
/// |---|---|---|
/// | one aggregate | `[event, …]`, a `Vec` of events, or `()` for no events | the same, or [`Events`] |
/// | several aggregates | a tuple of these | a tuple of these |
/// | a list of aggregates | a `Vec` of these | a `Vec` of these |
/// | one aggregate or none | as for one aggregate; `()` without an aggregate | the same |
/// | any of these, and finds others | a pair of the above and the events of the found aggregates | a pair of these |
/// | any of these and a DCB query | a pair of the above and the events of other streams | the above |
///
/// As in a store, a DCB query finds the events of the command's own streams, too, before those of other streams. Events
/// of several types are a tuple of lists.
///
/// `given` attributes the events of a found aggregate to the id that [`Find::find`](factum_engine::command::Find::find)
/// returns. To test the id itself, call `find` of the command.
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
    parts: <C::On as Boundary>::Parts,
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
    /// If an id or a tag of the command is not valid, if no event of its DCB query has a tag, if it names or finds a stream twice, if an event cannot be serialized or
    /// deserialized, or if the engine would not store the decision, for example because a deadline is not valid.
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
        if let Err(unknown) = check_tags::<C>(&mut parts) {
            panic!("{unknown}");
        }
        command.replay(&self.past, &mut parts);
        check_append::<C>(&parts, &C::nothing(&parts));
        let now = self.now.unwrap_or_else(Timestamp::now);
        let result = command.decide(C::On::state(&parts, &|| now));
        if let Ok(decision) = &result {
            check_append::<C>(&parts, decision);
            C::On::for_each_deadline(&parts, decision, &mut |_, deadlines| {
                if let Err(invalid) = deadlines.validated() {
                    panic!("the decision of {} is not valid: {invalid}", C::NAME);
                }
            });
        }
        Scenario { parts, result }
    }
}

/// Panics if the engine would not store `decision`.
#[track_caller]
fn check_append<C: Decide>(
    parts: &<C::On as Boundary>::Parts,
    decision: &<C::On as Boundary>::Decision,
) {
    let mut encoder = Encoder {
        ids: EventIdGenerator::now(),
        metadata: Arc::new(Metadata::default()),
        verification: Verification::Full,
    };
    let mut append = Append::default();
    if let Err(error) = C::On::encode(parts, decision, &mut encoder, &mut append) {
        panic!("the decision of {}: {error}: {}", C::NAME, error.source);
    }
    for AppendEvent { event, .. } in &mut append.events {
        // A store of personal data encrypts them before it checks the append.
        event.personal.clear();
    }
    if let Err(error) = append.check() {
        panic!("the decision of {} cannot be stored: {error}", C::NAME);
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
        let expected = expected.decision(&self.parts);
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
/// The compiler knows the command before it looks for an implementation, so that it reports the command and the events.
#[diagnostic::on_unimplemented(
    message = "the events in `given` do not fit the command `{Self}`: found `{G}`",
    label = "this command does not read the events in `given`",
    note = "`given` expects the events of the aggregates in `#[command(on = …)]`: a list of events for one aggregate, a tuple of lists for several, a `Vec` of lists for `Vec<…>`, or `()` for no events",
    note = "for a command with a DCB query, it expects a pair of these and the events of other streams; for one with `find`, a pair of these and the events of the aggregates that are found"
)]
pub trait DecideAfter<G>: Decide {
    /// Applies the past events to the states of the command, and finds its aggregates in them.
    fn replay(&self, past: &G, parts: &mut <Self::On as Boundary>::Parts);

    /// Returns a decision without events.
    fn nothing(parts: &<Self::On as Boundary>::Parts) -> <Self::On as Boundary>::Decision;
}

#[diagnostic::do_not_recommend]
impl<C, G> DecideAfter<G> for C
where
    C: Decide,
    <C::On as Boundary>::Shape: Replay,
    G: Past<<C::On as Boundary>::Shape>,
{
    #[track_caller]
    fn replay(&self, past: &G, parts: &mut <C::On as Boundary>::Parts) {
        let replay = |parts: &mut _| {
            let mut log = GivenLog::default();
            past.record(parts, &mut log);
            <C::On as Boundary>::Shape::replay(parts, log.records());
            C::On::find(parts, self.target())
        };
        // The first replay has no events of the found aggregates, because their streams are not known yet.
        let found = replay(parts).and_then(|has_found| match has_found {
            true => replay(parts),
            false => Ok(false),
        });
        match found {
            Ok(false) => {}
            Ok(true) => panic!(
                "`find` of {} returned other ids for the same events; it must be pure",
                C::NAME
            ),
            Err(FindError::Target(error)) => {
                panic!("the ids that {} finds are not valid: {error}", C::NAME)
            }
            Err(error) => panic!("{}: {error}", C::NAME),
        }
    }

    fn nothing(parts: &<C::On as Boundary>::Parts) -> <C::On as Boundary>::Decision {
        <C::On as Boundary>::Shape::nothing(parts)
    }
}

/// A shape of boundaries whose states are folded from a log, as the engine folds them.
pub trait Replay: Shape {
    /// Replaces the states by those that the events of `log` produce.
    fn replay(parts: &mut Self::Parts, log: &[RecordedEvent]);

    /// Returns a decision without events.
    fn nothing(parts: &Self::Parts) -> Self::Decision;
}

/// The values that [`given`] accepts for a command on the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit the aggregates that the command reads",
    label = "this command reads other aggregates",
    note = "pass a list of events for one aggregate, a tuple of lists for several, or `()` for no events"
)]
pub trait Past<B: Shape> {
    /// Appends the events to `log`, to the streams of `parts`.
    fn record(&self, parts: &B::Parts, log: &mut GivenLog);
}

/// The values that [`Scenario::then`] accepts for a command on the boundary `B`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the decision of a command on `{B}`",
    note = "pass a list of events for one aggregate, a tuple of lists for several, or `()` for no events"
)]
pub trait ExpectedOutcome<B: Shape> {
    /// Returns the expected decision of a command on `parts`.
    fn decision(self, parts: &B::Parts) -> B::Decision;
}

/// Lists of events of any types, as input of a DCB query or of a process manager.
pub trait EventLists {
    /// Appends the events to `log`, to a stream that no aggregate of the scenario has.
    fn append_to(&self, log: &mut GivenLog);
}

impl<A: Aggregate> Replay for Single<A> {
    #[track_caller]
    fn replay(slot: &mut AggregateState<A>, log: &[RecordedEvent]) {
        let stream = slot.stream.clone();
        *slot = AggregateState::new(stream.clone());
        for record in log.iter().filter(|record| record.stream == stream) {
            match record.decode_all() {
                Ok(events) => slot.apply(events, record),
                Err(error) => does_not_survive(record, &error),
            }
        }
        if let Some(policy) = A::SNAPSHOT
            && let Err(error) = policy.encode_checked(&slot.state)
        {
            panic!("the state of {stream} does not survive a snapshot: {error}");
        }
    }

    fn nothing(_: &AggregateState<A>) -> Events<A::Event> {
        Events::none()
    }
}

impl<A: Aggregate> Replay for List<A> {
    #[track_caller]
    fn replay(parts: &mut Vec<AggregateState<A>>, log: &[RecordedEvent]) {
        for part in parts {
            Single::<A>::replay(part, log);
        }
    }

    fn nothing(parts: &Vec<AggregateState<A>>) -> Vec<Events<A::Event>> {
        parts.iter().map(Single::<A>::nothing).collect()
    }
}

impl<A: Aggregate> Replay for Optional<A> {
    #[track_caller]
    fn replay(part: &mut Option<AggregateState<A>>, log: &[RecordedEvent]) {
        if let Some(part) = part {
            Single::<A>::replay(part, log);
        }
    }

    fn nothing(_: &Option<AggregateState<A>>) -> Events<A::Event> {
        Events::none()
    }
}

impl<B: Replay, F: Replay> Replay for WithFound<B, F> {
    #[track_caller]
    fn replay((named, found): &mut (B::Parts, Option<F::Parts>), log: &[RecordedEvent]) {
        B::replay(named, log);
        if let Some(found) = found {
            F::replay(found, log);
        }
    }

    fn nothing((named, found): &(B::Parts, Option<F::Parts>)) -> (B::Decision, F::Decision) {
        (B::nothing(named), F::nothing(found_parts(found)))
    }
}

fn found_parts<P>(found: &Option<P>) -> &P {
    match found {
        Some(parts) => parts,
        None => unreachable!("a scenario finds the aggregates of the command first"),
    }
}

impl<B: Replay, L: Queries> Replay for WithQueries<B, L> {
    #[track_caller]
    fn replay((parts, queries): &mut (B::Parts, L::Parts), log: &[RecordedEvent]) {
        B::replay(parts, log);
        L::restart(queries);
        for record in log {
            if let Err(error) = L::apply(queries, record) {
                does_not_survive(record, &error);
            }
        }
    }

    fn nothing((parts, _): &(B::Parts, L::Parts)) -> B::Decision {
        B::nothing(parts)
    }
}

#[track_caller]
fn does_not_survive(record: &RecordedEvent, error: &dyn std::error::Error) -> ! {
    let error = factum_engine::error::error_chain(error);
    panic!(
        "the event {} does not survive storage: {error}",
        record.name
    )
}

impl<B: Shape> Past<B> for () {
    fn record(&self, _: &B::Parts, _: &mut GivenLog) {}
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> Past<Single<A>> for [A::Event; N] {
    #[track_caller]
    fn record(&self, slot: &AggregateState<A>, log: &mut GivenLog) {
        record_events(self, slot, log);
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Past<Single<A>> for Vec<A::Event> {
    #[track_caller]
    fn record(&self, slot: &AggregateState<A>, log: &mut GivenLog) {
        record_events(self, slot, log);
    }
}

#[track_caller]
fn record_events<A: Aggregate>(events: &[A::Event], slot: &AggregateState<A>, log: &mut GivenLog) {
    for event in events {
        log.append(event, slot.stream.clone());
    }
}

impl<A: Aggregate, G: Past<Single<A>>> Past<List<A>> for Vec<G> {
    #[track_caller]
    fn record(&self, parts: &Vec<AggregateState<A>>, log: &mut GivenLog) {
        assert_eq!(
            self.len(),
            parts.len(),
            "`given` needs one list of events for each aggregate of the command"
        );
        for (past, slot) in self.iter().zip(parts) {
            past.record(slot, log);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> Past<Optional<A>> for [A::Event; N] {
    #[track_caller]
    fn record(&self, part: &Option<AggregateState<A>>, log: &mut GivenLog) {
        record_optional(self, part, log);
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> Past<Optional<A>> for Vec<A::Event> {
    #[track_caller]
    fn record(&self, part: &Option<AggregateState<A>>, log: &mut GivenLog) {
        record_optional(self, part, log);
    }
}

#[track_caller]
fn record_optional<A: Aggregate>(
    events: &[A::Event],
    part: &Option<AggregateState<A>>,
    log: &mut GivenLog,
) {
    match part {
        Some(part) => record_events(events, part, log),
        None => assert!(
            events.is_empty(),
            "`given` has {} events of an aggregate of {}, but the command has none; pass `()`",
            events.len(),
            A::CATEGORY
        ),
    }
}

impl<B: Shape, F: Shape, G: Past<B>, H: Past<F>> Past<WithFound<B, F>> for (G, H) {
    #[track_caller]
    fn record(&self, (named, found): &(B::Parts, Option<F::Parts>), log: &mut GivenLog) {
        self.0.record(named, log);
        if let Some(found) = found {
            self.1.record(found, log);
        }
    }
}

impl<B, L, G, F> Past<WithQueries<B, L>> for (G, F)
where
    B: Shape,
    L: Queries,
    G: Past<B>,
    F: EventLists,
{
    #[track_caller]
    fn record(&self, parts: &(B::Parts, L::Parts), log: &mut GivenLog) {
        self.0.record(&parts.0, log);
        self.1.append_to(log);
    }
}

impl<A: Aggregate> ExpectedOutcome<Single<A>> for () {
    fn decision(self, _: &AggregateState<A>) -> Events<A::Event> {
        Events::none()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> ExpectedOutcome<Single<A>> for [A::Event; N] {
    fn decision(self, _: &AggregateState<A>) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Single<A>> for Vec<A::Event> {
    fn decision(self, _: &AggregateState<A>) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Single<A>> for Events<A::Event> {
    fn decision(self, _: &AggregateState<A>) -> Self {
        self
    }
}

impl<A: Aggregate> ExpectedOutcome<List<A>> for () {
    fn decision(self, parts: &Vec<AggregateState<A>>) -> Vec<Events<A::Event>> {
        List::<A>::nothing(parts)
    }
}

impl<A: Aggregate, X: ExpectedOutcome<Single<A>>> ExpectedOutcome<List<A>> for Vec<X> {
    #[track_caller]
    fn decision(self, parts: &Vec<AggregateState<A>>) -> Vec<Events<A::Event>> {
        assert_eq!(
            self.len(),
            parts.len(),
            "`then` needs one list of events for each aggregate of the command"
        );
        let expected = self.into_iter().zip(parts);
        expected
            .map(|(events, part)| events.decision(part))
            .collect()
    }
}

impl<A: Aggregate> ExpectedOutcome<Optional<A>> for () {
    fn decision(self, _: &Option<AggregateState<A>>) -> Events<A::Event> {
        Events::none()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate, const N: usize> ExpectedOutcome<Optional<A>> for [A::Event; N] {
    fn decision(self, _: &Option<AggregateState<A>>) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Optional<A>> for Vec<A::Event> {
    fn decision(self, _: &Option<AggregateState<A>>) -> Events<A::Event> {
        self.into()
    }
}

#[diagnostic::do_not_recommend]
impl<A: Aggregate> ExpectedOutcome<Optional<A>> for Events<A::Event> {
    fn decision(self, _: &Option<AggregateState<A>>) -> Self {
        self
    }
}

impl<B, F, X, Y> ExpectedOutcome<WithFound<B, F>> for (X, Y)
where
    B: Shape,
    F: Shape,
    X: ExpectedOutcome<B>,
    Y: ExpectedOutcome<F>,
{
    #[track_caller]
    fn decision(self, (named, found): &(B::Parts, Option<F::Parts>)) -> (B::Decision, F::Decision) {
        (self.0.decision(named), self.1.decision(found_parts(found)))
    }
}

impl<B: Replay, F: Replay> ExpectedOutcome<WithFound<B, F>> for () {
    fn decision(self, parts: &(B::Parts, Option<F::Parts>)) -> (B::Decision, F::Decision) {
        WithFound::<B, F>::nothing(parts)
    }
}

#[diagnostic::do_not_recommend]
impl<B: Shape, L: Queries, X: ExpectedOutcome<B>> ExpectedOutcome<WithQueries<B, L>> for X {
    #[track_caller]
    fn decision(self, (parts, _): &(B::Parts, L::Parts)) -> B::Decision {
        ExpectedOutcome::<B>::decision(self, parts)
    }
}

impl EventLists for () {
    fn append_to(&self, _: &mut GivenLog) {}
}

impl<E: Event, const N: usize> EventLists for [E; N] {
    #[track_caller]
    fn append_to(&self, log: &mut GivenLog) {
        self.iter().for_each(|event| log.append_elsewhere(event));
    }
}

impl<E: Event> EventLists for Vec<E> {
    #[track_caller]
    fn append_to(&self, log: &mut GivenLog) {
        self.iter().for_each(|event| log.append_elsewhere(event));
    }
}

macro_rules! event_lists {
    ($($list:ident $index:tt),+) => {
        impl<$($list: EventLists),+> EventLists for ($($list,)+) {
            #[track_caller]
            fn append_to(&self, log: &mut GivenLog) {
                $(self.$index.append_to(log);)+
            }
        }
    };
}

event_lists!(A 0, B 1);
event_lists!(A 0, B 1, C 2);
event_lists!(A 0, B 1, C 2, D 3);
event_lists!(A 0, B 1, C 2, D 3, E 4);
event_lists!(A 0, B 1, C 2, D 3, E 4, F 5);

macro_rules! tuple_scenario {
    ($($part:ident $value:ident $index:tt),+) => {
        impl<$($part: Replay),+> Replay for ($($part,)+) {
            #[track_caller]
            fn replay(parts: &mut ($($part::Parts,)+), log: &[RecordedEvent]) {
                $($part::replay(&mut parts.$index, log);)+
            }

            fn nothing(parts: &($($part::Parts,)+)) -> ($($part::Decision,)+) {
                ($($part::nothing(&parts.$index),)+)
            }
        }

        impl<$($part: Shape, $value: Past<$part>),+> Past<($($part,)+)> for ($($value,)+) {
            #[track_caller]
            fn record(&self, parts: &($($part::Parts,)+), log: &mut GivenLog) {
                $(self.$index.record(&parts.$index, log);)+
            }
        }

        impl<$($part: Replay),+> ExpectedOutcome<($($part,)+)> for () {
            fn decision(self, parts: &($($part::Parts,)+)) -> ($($part::Decision,)+) {
                <($($part,)+)>::nothing(parts)
            }
        }

        impl<$($part: Shape, $value: ExpectedOutcome<$part>),+> ExpectedOutcome<($($part,)+)> for ($($value,)+) {
            #[track_caller]
            fn decision(self, parts: &($($part::Parts,)+)) -> ($($part::Decision,)+) {
                ($(self.$index.decision(&parts.$index),)+)
            }
        }
    };
}

tuple_scenario!(A X 0, B Y 1);
tuple_scenario!(A X 0, B Y 1, C Z 2);
tuple_scenario!(A X 0, B Y 1, C Z 2, D W 3);
