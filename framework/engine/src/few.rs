//! [`Few`]: a list that mostly holds one.

use std::ops::{Deref, DerefMut};
use std::{fmt, mem, slice, vec};

/// A list without an allocation as long as it holds one item: most commands look at one stream.
#[derive(Clone)]
pub enum Few<T> {
    /// Just this.
    One(T),
    /// None, or several.
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub const fn new() -> Self {
        Self::Many(Vec::new())
    }

    pub fn push(&mut self, item: T) {
        *self = match mem::take(self) {
            Self::Many(items) if items.is_empty() => Self::One(item),
            Self::One(first) => Self::Many(vec![first, item]),
            Self::Many(mut items) => {
                items.push(item);
                Self::Many(items)
            }
        };
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(item) => slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(item) => slice::from_mut(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::new();
        items.into_iter().for_each(|item| few.push(item));
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::One(item) => (Some(item), Vec::new()),
            Self::Many(items) => (None, items),
        };
        one.into_iter().chain(many)
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_order_however_many() {
        for count in 0..5 {
            let mut few: Few<u32> = (0..count).collect();
            assert_eq!(few.len(), count as usize);
            few.reverse();
            let items: Vec<u32> = few.into_iter().collect();
            assert_eq!(items, (0..count).rev().collect::<Vec<_>>());
        }
    }
}
