//! [`Decoded`]: the events that a record stands for.

/// The events that a record stands for, in order: one; several, if it was split since; none, if it was retired.
#[derive(Debug)]
pub struct Decoded<E>(Left<E>);

#[derive(Debug)]
enum Left<E> {
    One(Option<E>),
    Several(std::vec::IntoIter<E>),
}

impl<E> Decoded<E> {
    pub fn one(event: E) -> Self {
        Self(Left::One(Some(event)))
    }

    pub fn none() -> Self {
        Self(Left::One(None))
    }

    pub fn several(events: Vec<E>) -> Self {
        Self(Left::Several(events.into_iter()))
    }
}

impl<E> Iterator for Decoded<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        match &mut self.0 {
            Left::One(event) => event.take(),
            Left::Several(events) => events.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Left::One(event) => usize::from(event.is_some()),
            Left::Several(events) => events.len(),
        };
        (left, Some(left))
    }
}

impl<E> ExactSizeIterator for Decoded<E> {}
