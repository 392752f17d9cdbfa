//! [`Events`]: the events that a decision returns for one stream.

use std::fmt;

use crate::domain::deadline::{DeadlineChange, DeadlineChanges};

pub use crate::domain::deadline::InvalidDeadline;

/// The events that a decision returns for one stream, in order, with its changes of deadlines.
///
/// A decision can set and cancel deadlines. A decision without events is valid: nothing has to change. The events and
/// the deadlines are stored together, or not at all.
#[derive(Clone, PartialEq, Eq)]
pub struct Events<E> {
    events: Vec<E>,
    /// Boxed, because few decisions have deadlines.
    deadlines: Option<Box<DeadlineChanges>>,
}

impl<E> Events<E> {
    /// Returns a decision without events.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            events: Vec::new(),
            deadlines: None,
        }
    }

    /// Cancels the deadline `name` of this stream, if it is set.
    #[must_use]
    pub fn cancel_deadline(mut self, name: impl Into<String>) -> Self {
        self.deadlines_mut()
            .insert(name.into(), Ok(DeadlineChange::Cancel));
        self
    }

    /// Returns the deadlines that the decision sets and cancels.
    #[doc(hidden)]
    #[must_use]
    pub fn deadlines(&self) -> Option<&DeadlineChanges> {
        self.deadlines.as_deref()
    }

    /// Returns the deadlines that the decision sets and cancels, to add another one.
    #[doc(hidden)]
    pub fn deadlines_mut(&mut self) -> &mut DeadlineChanges {
        self.deadlines.get_or_insert_default()
    }

    /// Appends `event` and returns the decision.
    #[must_use]
    pub fn and(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// Appends `event`.
    pub fn push(&mut self, event: E) {
        self.events.push(event);
    }

    /// Returns the events, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.events
    }

    /// Returns the events, in order, without the deadlines.
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        self.events
    }
}

impl<E: fmt::Debug> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Events");
        tuple.field(&self.events);
        if let Some(deadlines) = &self.deadlines {
            tuple.field(deadlines.as_map());
        }
        tuple.finish()
    }
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self::none()
    }
}

impl<E> From<E> for Events<E> {
    fn from(event: E) -> Self {
        vec![event].into()
    }
}

impl<E> From<Vec<E>> for Events<E> {
    fn from(events: Vec<E>) -> Self {
        Self {
            events,
            deadlines: None,
        }
    }
}

impl<E, const N: usize> From<[E; N]> for Events<E> {
    fn from(events: [E; N]) -> Self {
        Vec::from(events).into()
    }
}

impl<E> FromIterator<E> for Events<E> {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        events.into_iter().collect::<Vec<_>>().into()
    }
}

impl<E> IntoIterator for Events<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}
