//! [`Candidates`]: the positions of the events that can match a query.
//!
//! If every item of the query requires a tag, they come from the tag index. Otherwise they are all positions.

use std::borrow::Cow;
use std::collections::HashMap;

use factum_core::query::{Query, QueryItem};
use factum_core::tag::Tag;
use foldhash::fast::RandomState;

/// The positions of events that can match a query, in ascending order.
pub enum Candidates<'l> {
    All { head: u64 },
    Some(Cow<'l, [u64]>),
}

/// Returns a superset of the positions that match `query`, in a log of `len` events.
pub fn candidates<'l>(
    query: &Query,
    tags: &'l HashMap<Tag, Vec<u64>, RandomState>,
    len: usize,
) -> Candidates<'l> {
    let all = Candidates::All { head: len as u64 };
    if query.items().is_empty() || query.items().iter().any(|item| item.tags.is_empty()) {
        return all;
    }
    let rarest = |item: &QueryItem| {
        let lists = item
            .tags
            .iter()
            .map(|tag| tags.get(tag).map_or(&[][..], Vec::as_slice));
        lists.min_by_key(|positions| positions.len())
    };
    Candidates::merged(query.items().iter().filter_map(rarest))
}

impl<'l> Candidates<'l> {
    /// Merges `lists` without duplicates.
    pub fn merged(lists: impl Iterator<Item = &'l [u64]>) -> Self {
        let mut lists: Vec<_> = lists.collect();
        if let [only] = lists[..] {
            return Self::Some(Cow::Borrowed(only));
        }
        let mut positions: Vec<u64> = lists.drain(..).flatten().copied().collect();
        positions.sort_unstable();
        positions.dedup();
        Self::Some(Cow::Owned(positions))
    }

    /// Returns the positions after `after`, in ascending order.
    pub fn forward(&self, after: u64) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Self::All { head } => Box::new(after.saturating_add(1)..=*head),
            Self::Some(positions) => {
                let from = positions.partition_point(|position| *position <= after);
                Box::new(positions[from..].iter().copied())
            }
        }
    }

    /// Returns the positions before `before`, in descending order.
    pub fn backward(&self, before: u64) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Self::All { head } => Box::new((1..=before.saturating_sub(1).min(*head)).rev()),
            Self::Some(positions) => {
                let to = positions.partition_point(|position| *position < before);
                Box::new(positions[..to].iter().rev().copied())
            }
        }
    }
}
