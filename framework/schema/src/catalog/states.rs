//! [`States`]: the states that an aggregate goes through, found by trying commands.

use std::sync::Arc;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::Boundary;
use factum_engine::command::Decide;

use super::explore::{Exploration, Sample, Stand};
use super::survey::Surveyed;

/// How to explore the states of an aggregate: what each state is called, and commands to try in it.
///
/// Deciding and applying are pure, so the states need not be drawn by hand. The exploration begins with the
/// state before the first event. Wherever a way that was not seen before leads, it tries every command, and
/// follows the events of those that are not rejected, until no new way shows.
///
/// It shows what it found: each arrow is a decision that was made. What a command does only after the same way
/// was gone twice, or only with other values than those of the samples, it does not find.
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
/// use factum::schema::catalog::States;
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
    pub label: Box<dyn Fn(&A) -> String>,
    pub samples: Vec<Box<dyn Sample<A>>>,
    pub beside: Vec<Stand>,
}

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
    /// Each command, and an event that it led to, of this aggregate or another one that it looks at.
    pub led_to: Vec<(&'static str, &'static str)>,
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
        <C::On as Boundary>::Shape: Surveyed,
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
        Exploration::new(self).run()
    }
}
