//! [`States`]: the states of an aggregate, found by executing sample commands.

use std::sync::Arc;

use factum_engine::aggregate::Aggregate;
use factum_engine::boundary::Boundary;
use factum_engine::command::Decide;

use super::describe_shape::DescribeShape;
use super::exploration::{Exploration, SampleCommand, StateOverride};
use super::state_graph::StateGraph;

/// An exploration of the states of an aggregate: a label for each state, and sample commands.
///
/// Deciding and applying are pure, so the states can be computed. The exploration starts in the state before the first
/// event, and executes each sample command. It applies the events of the decision, and repeats this in each state that
/// was reached by a new transition, until it finds no new transition.
///
/// Each transition is an actual decision. The exploration does not find decisions that need other values than those of
/// the samples, or the same transition twice.
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
/// let lifecycle = States::of(|door: &Door| if door.open { "open" } else { "shut" })
///     .when(Push { door: 1 })
///     .explore();
///
/// assert_eq!(lifecycle.states, ["shut", "open"]);
/// let first = &lifecycle.transitions[0];
/// assert_eq!((&*first.from, first.event, &*first.to), ("shut", "door.opened", "open"));
/// ```
#[must_use = "nothing is explored until `explore` or `Catalog::states` is called"]
pub struct States<A: Aggregate> {
    label: Box<dyn Fn(&A) -> String>,
    samples: Vec<Box<dyn SampleCommand<A>>>,
    overrides: Vec<StateOverride>,
}

impl<A: Aggregate> States<A> {
    /// Creates an exploration of `A`, with a function that labels its states.
    pub fn of<L: ToString>(label: impl Fn(&A) -> L + 'static) -> Self {
        Self {
            label: Box::new(move |state| label(state).to_string()),
            samples: Vec::new(),
            overrides: Vec::new(),
        }
    }

    /// Adds a command that is executed in each state.
    ///
    /// If its boundary contains several aggregates of type `A`, it is executed in each pair of states.
    pub fn when<C: Decide>(mut self, command: C) -> Self
    where
        <C::On as Boundary>::Shape: DescribeShape,
    {
        self.samples.push(Box::new(command));
        self
    }

    /// Sets the state of another aggregate in the boundary of a command.
    ///
    /// By default, an aggregate has its default state.
    pub fn beside<B: Aggregate>(mut self, state: B) -> Self {
        let state = Arc::new(state);
        self.overrides.push(Box::new(move |part| {
            if let Some(part) = part.downcast_mut::<Arc<B>>() {
                part.clone_from(&state);
            }
        }));
        self
    }

    /// Executes the sample commands until no new transition is found.
    ///
    /// # Panics
    /// Panics if there are more than 50 labels, if the id or a tag of a command is not valid, or if an event cannot be
    /// encoded.
    #[must_use]
    pub fn explore(&self) -> StateGraph {
        Exploration::new(&*self.label, &self.samples, &self.overrides).run()
    }
}
