//! The search for the states of an aggregate.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::Boundary;
use factum_engine::codec;
use factum_engine::command::Decide;
use factum_engine::event::Event;
use factum_engine::events::Events;
use factum_engine::record::{DecodeEvent as _, Place, RecordedEvent};

use super::states::{Explored, States, Transition};
use super::survey::Surveyed;

/// With more states than this, a label names amounts and not phases.
const MOST_STATES: usize = 50;

/// Puts a state into its place, if it is one of its aggregate.
pub type Stand = Box<dyn Fn(&mut dyn Any)>;

/// A search under way.
pub struct Exploration<'a, A: Aggregate> {
    states: &'a States<A>,
    /// One state for each way that was found.
    known: Vec<Known<A>>,
    tried: BTreeSet<Attempt>,
    explored: Explored,
}

impl<'a, A: Aggregate> Exploration<'a, A> {
    pub fn new(states: &'a States<A>) -> Self {
        let first = Known {
            label: (states.label)(&A::default()),
            state: Arc::new(A::default()),
            history: Vec::new(),
        };
        Self {
            states,
            explored: Explored {
                category: A::CATEGORY,
                states: vec![first.label.clone()],
                transitions: Vec::new(),
                led_to: Vec::new(),
            },
            known: vec![first],
            tried: BTreeSet::new(),
        }
    }

    /// Tries until nothing new comes.
    pub fn run(mut self) -> Explored {
        loop {
            let known = self.known.len();
            for attempt in attempts(&self.states.samples, known) {
                if self.tried.insert(attempt) {
                    self.attempt(attempt);
                }
            }
            if self.known.len() == known {
                return self.explored;
            }
        }
    }

    fn attempt(&mut self, attempt: Attempt) {
        let sample = &self.states.samples[attempt.sample];
        let places = [attempt.state, attempt.other];
        let states = places.map(|place| &self.known[place]);
        let Some(decided) = sample.decide(attempt.part, states, &self.states.beside) else {
            return;
        };
        for name in decided.names {
            let led = (sample.name(), name);
            if !self.explored.led_to.contains(&led) {
                self.explored.led_to.push(led);
            }
        }
        for (first, events) in decided.ours {
            let before = if first { attempt.state } else { attempt.other };
            self.follow(before, sample.name(), &events);
        }
    }

    /// Takes in what `command` led to in the state number `before`.
    fn follow(&mut self, before: usize, command: &'static str, events: &[A::Event]) {
        let before = &self.known[before];
        let (mut now, mut label) = (A::clone(&before.state), before.label.clone());
        let mut history = before.history.clone();
        let Explored {
            states,
            transitions,
            ..
        } = &mut self.explored;
        let ways = transitions.len();
        for event in events {
            now.apply(event);
            history.push(record::<A>(event, history.len() as u64 + 1));
            let transition = Transition {
                from: label,
                command,
                event: event.event_type().name,
                to: (self.states.label)(&now),
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
            states.len() <= MOST_STATES,
            "more than {MOST_STATES} states of `{}`: a label names a phase, not an amount",
            A::CATEGORY
        );
        if transitions.len() > ways {
            self.known.push(Known {
                label,
                state: Arc::new(now),
                history,
            });
        }
    }
}

fn attempts<A: Aggregate>(
    samples: &[Box<dyn Sample<A>>],
    known: usize,
) -> impl Iterator<Item = Attempt> {
    samples
        .iter()
        .enumerate()
        .flat_map(move |(sample, command)| {
            let parts = command.parts();
            let others = if parts > 1 { known } else { 1 };
            (0..known).flat_map(move |state| {
                (0..others).flat_map(move |other| {
                    (0..parts).map(move |part| Attempt {
                        sample,
                        part,
                        state,
                        other,
                    })
                })
            })
        })
}

/// What a command decided.
pub struct Decided<E> {
    /// The names of all events, whatever aggregate they are for.
    names: Vec<&'static str>,
    /// The events for each aggregate that is explored, and whether it is the one in the first state.
    ours: Vec<(bool, Vec<E>)>,
}

/// A state that was found, and how it came about.
pub struct Known<A> {
    label: String,
    state: Arc<A>,
    history: Vec<RecordedEvent>,
}

/// The command `sample`, where its part number `part` is in one state, and all others are in another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    sample: usize,
    part: usize,
    state: usize,
    other: usize,
}

/// A command to try on `A`, and maybe others.
pub trait Sample<A: Aggregate> {
    fn name(&self) -> &'static str;

    /// How many `A`s it looks at.
    fn parts(&self) -> usize;

    /// What it decides; `None` if it rejects.
    fn decide(
        &self,
        part: usize,
        states: [&Known<A>; 2],
        beside: &[Stand],
    ) -> Option<Decided<A::Event>>;
}

impl<A: Aggregate, C: Decide> Sample<A> for C
where
    <C::On as Boundary>::Shape: Surveyed,
{
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn parts(&self) -> usize {
        let mut slots = slots(self);
        let mut parts = Vec::new();
        <C::On as Boundary>::Shape::states(&mut slots, &mut parts);
        parts.iter().filter(|part| part.is::<Arc<A>>()).count()
    }

    fn decide(
        &self,
        part: usize,
        [state, other]: [&Known<A>; 2],
        beside: &[Stand],
    ) -> Option<Decided<A::Event>> {
        let mut slots = slots(self);
        let mut parts = Vec::new();
        <C::On as Boundary>::Shape::states(&mut slots, &mut parts);
        // For each part: is it an `A`, and the one in the first state?
        let mut places = Vec::new();
        let mut count = 0;
        for place in parts {
            beside.iter().for_each(|stand| stand(place));
            let Some(place) = place.downcast_mut::<Arc<A>>() else {
                places.push(None);
                continue;
            };
            let first = count == part;
            place.clone_from(if first { &state.state } else { &other.state });
            places.push(Some(first));
            count += 1;
        }
        for first in places.iter().flatten() {
            let known = if *first { state } else { other };
            for record in &known.history {
                <C::On as Boundary>::Shape::recall(&mut slots, record);
            }
        }
        let decision = Decide::decide(self, C::On::state(&slots)).ok()?;
        let mut names = Vec::new();
        <C::On as Boundary>::Shape::told(&decision, &mut names);
        let ours = taken_apart::<A, C>(&decision, &places);
        Some(Decided { names, ours })
    }
}

/// The events of the parts that are `A`s. They are taken through their stored form, since an event need not be
/// `Clone`.
fn taken_apart<A: Aggregate, C: Decide>(
    decision: &<C::On as Boundary>::Decision,
    places: &[Option<bool>],
) -> Vec<(bool, Vec<A::Event>)>
where
    <C::On as Boundary>::Shape: Surveyed,
{
    let mut decided = Vec::new();
    <C::On as Boundary>::Shape::decided(decision, &mut decided);
    let parts = places.iter().zip(decided);
    let ours = parts.filter_map(|(place, events)| {
        let events = events.downcast_ref::<Events<A::Event>>()?.as_slice();
        let copy = |event| match record::<A>(event, 1).decode() {
            Ok(event) => event,
            Err(error) => panic!("{error}"),
        };
        Some(((*place)?, events.iter().map(copy).collect()))
    });
    ours.collect()
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
    let stored = match codec::encode(event, &Arc::default()) {
        Ok(stored) => stored,
        Err(error) => panic!("{error}: {}", error.source),
    };
    let place = Place {
        position: Position::new(version),
        version: Version::new(version),
        recorded_at: Timestamp::from_micros(0),
    };
    RecordedEvent::new(stored, stream, place)
}
