//! [`Decoded`]: the current events that a record represents.

/// The current events that a record represents, in order.
///
/// It is one event; several if the event was split since; none if it was retired.
#[derive(Debug)]
pub struct Decoded<E>(Remaining<E>);

#[derive(Debug)]
enum Remaining<E> {
    AtMostOne(Option<E>),
    Several(std::vec::IntoIter<E>),
}

impl<E> Decoded<E> {
    #[doc(hidden)]
    pub fn one(event: E) -> Self {
        Self(Remaining::AtMostOne(Some(event)))
    }

    #[doc(hidden)]
    pub fn none() -> Self {
        Self(Remaining::AtMostOne(None))
    }

    #[doc(hidden)]
    pub fn several(events: Vec<E>) -> Self {
        Self(Remaining::Several(events.into_iter()))
    }
}

impl<E> Iterator for Decoded<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        match &mut self.0 {
            Remaining::AtMostOne(event) => event.take(),
            Remaining::Several(events) => events.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let remaining = match &self.0 {
            Remaining::AtMostOne(event) => usize::from(event.is_some()),
            Remaining::Several(events) => events.len(),
        };
        (remaining, Some(remaining))
    }
}

impl<E> ExactSizeIterator for Decoded<E> {}
