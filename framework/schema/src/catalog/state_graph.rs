//! [`StateGraph`]: the states of an aggregate and the transitions between them.

/// The states that an exploration found, and the transitions between them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateGraph {
    /// The category of the aggregate.
    pub category: &'static str,
    /// The labels in the order in which they were found, starting with the state before the first event.
    pub states: Vec<String>,
    /// The transitions, one for each event of a decision.
    pub transitions: Vec<Transition>,
    /// The pairs of a command and an event type that it produced.
    ///
    /// The event belongs to this aggregate, or to another aggregate in the boundary of the command.
    pub produced: Vec<(&'static str, &'static str)>,
}

/// A transition of an aggregate from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The label of the state before the event.
    pub from: String,
    /// The name of the command.
    pub command: &'static str,
    /// The event type that the command produced.
    pub event: &'static str,
    /// The label of the state after the event.
    pub to: String,
}
