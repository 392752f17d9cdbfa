//! Stored names, each kept once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// A program knows its names when it is compiled; more than this many come from a file that does not say the truth.
const MOST: usize = 4_096;

static NAMES: RwLock<Option<HashSet<&'static str>>> = RwLock::new(None);

/// The names in one page.
#[derive(Default)]
pub(crate) struct Names(Vec<&'static str>);

/// More names in one page than this are looked up each time.
const FEW: usize = 8;

impl Names {
    /// `name` without a copy of its own.
    pub(crate) fn get(&mut self, name: &str) -> Cow<'static, str> {
        if let Some(known) = self.0.iter().find(|known| **known == name) {
            return Cow::Borrowed(known);
        }
        match kept(name) {
            Some(kept) => {
                if self.0.len() < FEW {
                    self.0.push(kept);
                }
                Cow::Borrowed(kept)
            }
            None => Cow::Owned(name.to_owned()),
        }
    }
}

fn kept(name: &str) -> Option<&'static str> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = names.as_ref().and_then(|names| names.get(name)) {
        return Some(kept);
    }
    drop(names);
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(kept) = names.get(name) {
        return Some(kept);
    }
    if names.len() == MOST {
        return None;
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_no_more_than_so_many() {
        let mut names = Names::default();
        let first = names.get("account.opened");
        let again = Names::default().get("account.opened");
        assert_eq!((&*first, &*again), ("account.opened", "account.opened"));
        assert!(std::ptr::eq(&*first, &*again));
        for number in 0..2 * MOST {
            let name = format!("account.opened-{number}");
            assert_eq!(Names::default().get(&name), name);
        }
        let kept = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(kept.as_ref().map(HashSet::len), Some(MOST));
    }
}
