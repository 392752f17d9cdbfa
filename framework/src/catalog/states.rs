//! [`States`]: the states that an aggregate goes through, found by trying commands.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::boundary::Boundary;
use crate::codec;
use crate::command::Decide;
use crate::event::Event;
use crate::events::Events;
use crate::place::{Position, Version};
use crate::record::{Place, RecordedEvent};
use crate::stream::StreamId;
use crate::timestamp::Timestamp;

use super::survey::Surveyed;

/// With more states than this, a label names amounts and not phases.
const MOST_STATES: usize = 50;

/// How to explore the states of an aggregate: what each state is called, and commands to try in it.
///
/// Deciding and applying are pure, so the states need not be drawn by hand. The exploration begins with the
/// state before the first event. In every state that it finds, under a label not seen before, it tries every
/// command, and follows the events of those that are not refused.
///
/// ```
/// # use factum::prelude::*;
/// # #[derive(Event, Serialize, Deserialize)]
/// # #[event(prefix = "door")]
/// # enum DoorEvent { Opened, Closed }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "door", id = u8, event = DoorEvent)]
/// # struct Door { open: bool }
/// # impl Apply<DoorEvent> for Door {
/// #     fn apply(&mut self, event: &DoorEvent) { self.open = matches!(event, DoorEvent::Opened) }
/// # }
/// # #[derive(Command, Serialize)]
/// # #[command(on = Door)]
/// # struct Push { #[id] door: u8 }
/// # impl Decide for Push {
/// #     type Error = std::convert::Infallible;
/// #     fn decide(&self, door: &Door) -> Result<Events<DoorEvent>, Self::Error> {
/// #         Ok(if door.open { DoorEvent::Closed } else { DoorEvent::Opened }.into())
/// #     }
/// # }
/// use factum::catalog::States;
///
/// let life = States::of(|door: &Door| if door.open { "open" } else { "shut" })
///     .when(Push { door: 1 })
///     .explore();
///
/// assert_eq!(life.states, ["shut", "open"]);
/// let first = &life.transitions[0];
/// assert_eq!((&*first.from, first.event, &*first.to), ("shut", "door.opened", "open"));
/// ```
#[must_use = "nothing is explored before `explore`, or a catalog's `states`"]
pub struct States<A: Aggregate> {
    label: Box<dyn Fn(&A) -> String>,
    samples: Vec<Box<dyn Sample<A>>>,
    beside: Vec<Stand>,
}

/// Puts a state into its place, if it is one of its aggregate.
type Stand = Box<dyn Fn(&mut dyn Any)>;

/// The states that an exploration found, and the ways between them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// The category of the aggregate.
    pub category: &'static str,
    /// The labels in the order in which they were found; the first is that before the first event.
    pub states: Vec<String>,
    /// One for each event that a command led to.
    pub transitions: Vec<Transition>,
}

/// In the state `from` the command led to the event, behind which the state was `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The label before.
    pub from: String,
    /// The name of the command.
    pub command: &'static str,
    /// The stored name of the event.
    pub event: &'static str,
    /// The label behind.
    pub to: String,
}

impl<A: Aggregate> States<A> {
    /// The states of `A`, which `label` tells apart.
    pub fn of<L: ToString>(label: impl Fn(&A) -> L + 'static) -> Self {
        Self {
            label: Box::new(move |state| label(state).to_string()),
            samples: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// Tries `command` in every state. Where it looks at several of this aggregate, each pair of states is
    /// tried.
    pub fn when<C: Decide>(mut self, command: C) -> Self
    where
        C::On: Surveyed,
    {
        self.samples.push(Box::new(command));
        self
    }

    /// Lets the commands find `state` where they look at another aggregate, which stands at its default
    /// otherwise.
    pub fn beside<B: Aggregate>(mut self, state: B) -> Self {
        let state = Arc::new(state);
        self.beside.push(Box::new(move |part| {
            if let Some(part) = part.downcast_mut::<Arc<B>>() {
                part.clone_from(&state);
            }
        }));
        self
    }

    /// Explores until nothing new comes.
    ///
    /// # Panics
    /// If there are more than 50 labels, if a command's id or tag breaks the rules of its text, or if an
    /// event cannot be stored.
    pub fn explore(&self) -> Explored {
        let mut found = vec![Known {
            label: (self.label)(&A::default()),
            state: Arc::new(A::default()),
            history: Vec::new(),
        }];
        let mut tried = BTreeSet::new();
        let mut transitions: Vec<Transition> = Vec::new();
        let mut labels = vec![found[0].label.clone()];
        loop {
            let known = found.len();
            for attempt in self.attempts(known) {
                if tried.insert(attempt) {
                    self.attempt(attempt, &mut found, &mut transitions, &mut labels);
                }
            }
            if found.len() == known {
                return Explored {
                    category: A::CATEGORY,
                    states: labels,
                    transitions,
                };
            }
        }
    }

    fn attempts(&self, known: usize) -> impl Iterator<Item = Attempt> {
        let samples = self.samples.iter().enumerate();
        samples.flat_map(move |(sample, command)| {
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

    fn attempt(
        &self,
        attempt: Attempt,
        found: &mut Vec<Known<A>>,
        transitions: &mut Vec<Transition>,
        labels: &mut Vec<String>,
    ) {
        let sample = &self.samples[attempt.sample];
        let (state, other) = (&found[attempt.state], &found[attempt.other]);
        let decided = sample.decide(attempt.part, [state, other], &self.beside);
        for (before, events) in decided.into_iter().filter(|(_, events)| !events.is_empty()) {
            let before = &found[if before { attempt.state } else { attempt.other }];
            let (mut now, mut from) = (A::clone(&before.state), before.label.clone());
            let mut history = before.history.clone();
            for event in events {
                now.apply(&event);
                history.push(record::<A>(&event, history.len() as u64 + 1));
                let transition = Transition {
                    from,
                    command: sample.name(),
                    event: event.event_type().name,
                    to: (self.label)(&now),
                };
                from = transition.to.clone();
                if !labels.contains(&from) {
                    labels.push(from.clone());
                }
                if !transitions.contains(&transition) {
                    transitions.push(transition);
                }
            }
            assert!(
                labels.len() <= MOST_STATES,
                "more than {MOST_STATES} states of `{}`: a label names a phase, not an amount",
                A::CATEGORY
            );
            if !found.iter().any(|known| known.label == from) {
                found.push(Known {
                    label: from,
                    state: Arc::new(now),
                    history,
                });
            }
        }
    }
}

/// A state that was found, and how it came about.
struct Known<A> {
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
trait Sample<A: Aggregate> {
    fn name(&self) -> &'static str;

    /// How many `A`s it looks at.
    fn parts(&self) -> usize;

    /// The events for each `A`, and whether it is the one in the first state; nothing if it refuses.
    fn decide(
        &self,
        part: usize,
        states: [&Known<A>; 2],
        beside: &[Stand],
    ) -> Vec<(bool, Vec<A::Event>)>;
}

impl<A: Aggregate, C: Decide> Sample<A> for C
where
    C::On: Surveyed,
{
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn parts(&self) -> usize {
        let mut slots = slots(self);
        let mut parts = Vec::new();
        C::On::states(&mut slots, &mut parts);
        parts.iter().filter(|part| part.is::<Arc<A>>()).count()
    }

    fn decide(
        &self,
        part: usize,
        [state, other]: [&Known<A>; 2],
        beside: &[Stand],
    ) -> Vec<(bool, Vec<A::Event>)> {
        let mut slots = slots(self);
        let mut parts = Vec::new();
        C::On::states(&mut slots, &mut parts);
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
                C::On::recall(&mut slots, record);
            }
        }
        let Ok(decision) = Decide::decide(self, C::On::state(&slots)) else {
            return Vec::new();
        };
        taken_apart::<A, C>(&decision, &places)
    }
}

/// The events of the parts that are `A`s. They are taken through their stored form, since an event need not be
/// `Clone`.
fn taken_apart<A: Aggregate, C: Decide>(
    decision: &<C::On as Boundary>::Decision,
    places: &[Option<bool>],
) -> Vec<(bool, Vec<A::Event>)>
where
    C::On: Surveyed,
{
    let mut decided = Vec::new();
    C::On::decided(decision, &mut decided);
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

fn slots<C: Decide>(command: &C) -> <C::On as Boundary>::Slots {
    match C::On::slots(command.target()) {
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
