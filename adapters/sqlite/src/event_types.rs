//! [`EventTypes`]: interned names of event types.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// The maximum number of interned names.
///
/// A program has a fixed set of event types. A file with more names than this is not written by one.
const MAX_INTERNED: usize = 4_096;

static INTERNED: RwLock<Option<HashSet<&'static str>>> = RwLock::new(None);

/// The event types of one page.
#[derive(Default)]
pub struct EventTypes(Vec<&'static str>);

/// The maximum number of event types of a page that are found without the lock.
const MAX_LOCAL: usize = 8;

impl EventTypes {
    /// Returns `name` as an interned string, or as a copy if there are too many names.
    pub fn get(&mut self, name: &str) -> Cow<'static, str> {
        if let Some(local) = self.0.iter().find(|local| **local == name) {
            return Cow::Borrowed(local);
        }
        match intern(name) {
            Some(interned) => {
                if self.0.len() < MAX_LOCAL {
                    self.0.push(interned);
                }
                Cow::Borrowed(interned)
            }
            None => Cow::Owned(name.to_owned()),
        }
    }
}

fn intern(name: &str) -> Option<&'static str> {
    let names = INTERNED.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(interned) = names.as_ref().and_then(|names| names.get(name)) {
        return Some(interned);
    }
    drop(names);
    let mut names = INTERNED.write().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(interned) = names.get(name) {
        return Some(interned);
    }
    if names.len() == MAX_INTERNED {
        return None;
    }
    let interned: &'static str = Box::leak(name.into());
    names.insert(interned);
    Some(interned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_interned_up_to_a_maximum() {
        let mut types = EventTypes::default();
        let first = types.get("account.opened");
        let again = EventTypes::default().get("account.opened");
        assert_eq!((&*first, &*again), ("account.opened", "account.opened"));
        assert!(std::ptr::eq(&*first, &*again));
        for number in 0..2 * MAX_INTERNED {
            let name = format!("account.opened-{number}");
            assert_eq!(EventTypes::default().get(&name), name);
        }
        let interned = INTERNED.read().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(interned.as_ref().map(HashSet::len), Some(MAX_INTERNED));
    }
}
