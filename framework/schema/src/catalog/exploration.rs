//! [`Exploration`]: the search for the states of an aggregate.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::{Boundary, FindError};
use factum_engine::codec;
use factum_engine::command::Decide;
use factum_engine::event::Event;
use factum_engine::event_form::EventForm as _;
use factum_engine::events::Events;
use factum_engine::record::{Assigned, DecodeEvent as _, RecordedEvent};

use super::describe_shape::DescribeShape;
use super::state_graph::{StateGraph, Transition};

/// The maximum number of labels.
const MAX_LABELS: usize = 50;

/// A function that replaces the state of an aggregate if it has the right type.
pub type StateOverride = Box<dyn Fn(&mut dyn Any)>;

/// A search in progress.
pub struct Exploration<'a, A: Aggregate> {
    label: &'a dyn Fn(&A) -> String,
    samples: &'a [Box<dyn SampleCommand<A>>],
    overrides: &'a [StateOverride],
    /// The states in which the samples are tried.
    ///
    /// These are the initial state, and one state for each decision with a new transition.
    reached: Vec<ReachedState<A>>,
    tried: BTreeSet<Trial>,
    graph: StateGraph,
}

impl<'a, A: Aggregate> Exploration<'a, A> {
    pub fn new(
        label: &'a dyn Fn(&A) -> String,
        samples: &'a [Box<dyn SampleCommand<A>>],
        overrides: &'a [StateOverride],
    ) -> Self {
        let initial = ReachedState {
            label: label(&A::default()),
            state: Arc::new(A::default()),
            history: Vec::new(),
        };
        Self {
            label,
            samples,
            overrides,
            graph: StateGraph {
                category: A::CATEGORY,
                states: vec![initial.label.clone()],
                transitions: Vec::new(),
                produced: Vec::new(),
            },
            reached: vec![initial],
            tried: BTreeSet::new(),
        }
    }

    /// Tries all samples in all reached states until no new state is reached.
    pub fn run(mut self) -> StateGraph {
        loop {
            let reached = self.reached.len();
            for trial in trials(self.samples, self.overrides, reached) {
                if self.tried.insert(trial) {
                    self.try_sample(trial);
                }
            }
            if self.reached.len() == reached {
                return self.graph;
            }
        }
    }

    fn try_sample(&mut self, trial: Trial) {
        let sample = &self.samples[trial.sample];
        let states = [trial.state, trial.other].map(|index| &self.reached[index]);
        let Some(decision) = sample.decide(trial.part, states, self.overrides) else {
            return;
        };
        for event_type in decision.event_types {
            let produced = (sample.name(), event_type);
            if !self.graph.produced.contains(&produced) {
                self.graph.produced.push(produced);
            }
        }
        for (is_first, events) in decision.events {
            let before = if is_first { trial.state } else { trial.other };
            self.apply(before, sample.name(), &events);
        }
    }

    /// Applies the events that `command` produced in the reached state with the index `before`.
    fn apply(&mut self, before: usize, command: &'static str, events: &[A::Event]) {
        let before = &self.reached[before];
        let (mut state, mut label) = (A::clone(&before.state), before.label.clone());
        let mut history = before.history.clone();
        let StateGraph {
            states,
            transitions,
            ..
        } = &mut self.graph;
        let transitions_before = transitions.len();
        for event in events {
            let recorded = record::<A>(event, history.len() as u64 + 1);
            match recorded.decode() {
                Ok(event) => state.apply(&A::Applied::stored(event, &recorded)),
                Err(error) => panic!(
                    "the event {} does not survive storage: {error}",
                    recorded.name
                ),
            }
            history.push(recorded);
            let transition = Transition {
                from: label,
                command,
                event: event.event_type().name,
                to: (self.label)(&state),
            };
            label = transition.to.clone();
            if !states.contains(&label) {
                states.push(label.clone());
            }
            if !transitions.contains(&transition) {
                transitions.push(transition);
            }
        }
        assert!(
            states.len() <= MAX_LABELS,
            "too many labels for the states of `{}`: more than {MAX_LABELS}; a label must name a phase, not an amount",
            A::CATEGORY
        );
        if transitions.len() > transitions_before {
            self.reached.push(ReachedState {
                label,
                state: Arc::new(state),
                history,
            });
        }
    }
}

fn trials<A: Aggregate>(
    samples: &[Box<dyn SampleCommand<A>>],
    overrides: &[StateOverride],
    reached: usize,
) -> impl Iterator<Item = Trial> {
    samples
        .iter()
        .enumerate()
        .flat_map(move |(sample, command)| {
            let parts = command.parts(overrides);
            let others = if parts > 1 { reached } else { 1 };
            (0..reached).flat_map(move |state| {
                (0..others).flat_map(move |other| {
                    (0..parts).map(move |part| Trial {
                        sample,
                        part,
                        state,
                        other,
                    })
                })
            })
        })
}

/// The decision of a sample command.
pub struct SampleDecision<E> {
    /// The event types of all events, for any aggregate.
    event_types: Vec<&'static str>,
    /// The events for each part of the explored type, and whether the part is in the first state.
    events: Vec<(bool, Vec<E>)>,
}

/// A state that was reached, and the events that led to it.
pub struct ReachedState<A> {
    label: String,
    state: Arc<A>,
    history: Vec<RecordedEvent>,
}

/// A sample command with one part in one state, and all other parts of the same type in another state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Trial {
    sample: usize,
    part: usize,
    state: usize,
    other: usize,
}

/// A command whose boundary contains `A`.
pub trait SampleCommand<A: Aggregate> {
    fn name(&self) -> &'static str;

    /// Returns the number of parts of type `A` in the boundary, in its initial state.
    fn parts(&self, overrides: &[StateOverride]) -> usize;

    /// Returns the decision, or `None` if the command is rejected.
    fn decide(
        &self,
        part: usize,
        states: [&ReachedState<A>; 2],
        overrides: &[StateOverride],
    ) -> Option<SampleDecision<A::Event>>;
}

impl<A: Aggregate, C: Decide> SampleCommand<A> for C
where
    <C::On as Boundary>::Shape: DescribeShape,
{
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn parts(&self, overrides: &[StateOverride]) -> usize {
        let mut count = 0;
        let _ = for_each_state(self, &mut slots(self), |slot| {
            overrides.iter().for_each(|replace| replace(slot));
            count += usize::from(slot.is::<Arc<A>>());
        });
        count
    }

    fn decide(
        &self,
        part: usize,
        [state, other]: [&ReachedState<A>; 2],
        overrides: &[StateOverride],
    ) -> Option<SampleDecision<A::Event>> {
        let mut slots = slots(self);
        // For each part of the boundary: `None` if it is not an `A`, otherwise whether it is in the first state.
        let mut is_first = Vec::new();
        let mut count = 0;
        for_each_state(self, &mut slots, |slot| {
            overrides.iter().for_each(|replace| replace(slot));
            let Some(slot) = slot.downcast_mut::<Arc<A>>() else {
                is_first.push(None);
                return;
            };
            let first = count == part;
            slot.clone_from(if first { &state.state } else { &other.state });
            is_first.push(Some(first));
            count += 1;
        })
        .ok()?;
        for first in is_first.iter().flatten() {
            let reached = if *first { state } else { other };
            for record in &reached.history {
                <C::On as Boundary>::Shape::apply_to_queries(&mut slots, record);
            }
        }
        let decision = Decide::decide(self, C::On::state(&slots, &Timestamp::now)).ok()?;
        let mut event_types = Vec::new();
        <C::On as Boundary>::Shape::decided_event_types(&decision, &mut event_types);
        Some(SampleDecision {
            event_types,
            events: events_of::<A, C>(&decision, &is_first),
        })
    }
}

/// Calls `set` for the state of each aggregate of a command, first of those that it names.
///
/// # Errors
/// Returns [`FindError`] if the command cannot use the streams that it finds.
fn for_each_state<C: Decide>(
    command: &C,
    slots: &mut <C::On as Boundary>::Parts,
    mut set: impl FnMut(&mut dyn Any),
) -> Result<(), FindError>
where
    <C::On as Boundary>::Shape: DescribeShape,
{
    let mut count = 0;
    loop {
        let mut states = Vec::new();
        <C::On as Boundary>::Shape::states(slots, &mut states);
        let known = std::mem::replace(&mut count, states.len());
        states.into_iter().skip(known).for_each(&mut set);
        if !C::On::find(slots, command.target())? {
            return Ok(());
        }
    }
}

/// Returns the events of the parts of type `A`.
///
/// Events are copied by encoding and decoding, because an event does not have to be `Clone`.
fn events_of<A: Aggregate, C: Decide>(
    decision: &<C::On as Boundary>::Decision,
    is_first: &[Option<bool>],
) -> Vec<(bool, Vec<A::Event>)>
where
    <C::On as Boundary>::Shape: DescribeShape,
{
    let mut decided = Vec::new();
    <C::On as Boundary>::Shape::decided_events(decision, &mut decided);
    let parts = is_first.iter().zip(decided);
    let events = parts.filter_map(|(is_first, events)| {
        let events = events.downcast_ref::<Events<A::Event>>()?.as_slice();
        let copy = |event| match record::<A>(event, 1).decode() {
            Ok(event) => event,
            Err(error) => panic!("{error}"),
        };
        Some(((*is_first)?, events.iter().map(copy).collect()))
    });
    events.collect()
}

fn slots<C: Decide>(command: &C) -> <C::On as Boundary>::Parts {
    match C::On::parts(command.target()) {
        Ok(slots) => slots,
        Err(error) => panic!("{}: {error}", C::NAME),
    }
}

fn record<A: Aggregate>(event: &A::Event, version: u64) -> RecordedEvent {
    let stream = StreamId::new(A::CATEGORY, "explored");
    let stream = stream.unwrap_or_else(|error| panic!("{error}"));
    let encoded = match codec::encode(event, &Arc::default()) {
        Ok(encoded) => encoded,
        Err(error) => panic!("{error}: {}", error.source),
    };
    let assigned = Assigned {
        position: Position::new(version),
        version: Version::new(version),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(encoded, stream, assigned)
}
