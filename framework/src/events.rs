//! [`Events`]: what a decision gives back for one stream.

/// The events that a decision gives back, in order; none is a decision too: nothing needs to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events<E>(Vec<E>);

impl<E> Events<E> {
    /// Nothing needs to happen.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The same events, and then `event`.
    #[must_use]
    pub fn and(mut self, event: E) -> Self {
        self.0.push(event);
        self
    }

    /// Adds `event` behind the others.
    pub fn push(&mut self, event: E) {
        self.0.push(event);
    }

    /// The events, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.0
    }

    /// The events, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        self.0
    }
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self::none()
    }
}

impl<E> From<E> for Events<E> {
    fn from(event: E) -> Self {
        Self(vec![event])
    }
}

impl<E> From<Vec<E>> for Events<E> {
    fn from(events: Vec<E>) -> Self {
        Self(events)
    }
}

impl<E, const N: usize> From<[E; N]> for Events<E> {
    fn from(events: [E; N]) -> Self {
        Self(events.into())
    }
}

impl<E> FromIterator<E> for Events<E> {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        Self(events.into_iter().collect())
    }
}

impl<E> IntoIterator for Events<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
