//! [`IdRuns`]: the index of event ids.

use std::collections::BTreeMap;

use factum_core::append::EventIdRun;
use factum_core::position::Position;
use uuid::Uuid;

/// The first ids of the stored runs of consecutive event ids, with their positions.
///
/// Most runs are appended in the order of their ids. They are kept in a vector, which is much faster than a tree.
#[derive(Default)]
pub struct IdRuns {
    ascending: Vec<(Uuid, Position)>,
    others: BTreeMap<Uuid, Position>,
}

impl IdRuns {
    pub fn add(&mut self, first: Uuid, position: Position) {
        match self.ascending.last() {
            Some((last, _)) if *last >= first => {
                self.others.insert(first, position);
            }
            _ => self.ascending.push((first, position)),
        }
    }

    /// Returns whether no id of `run` can be stored, because all stored ids are lower.
    pub fn are_before(&self, run: &EventIdRun) -> bool {
        let last = self.ascending.last();
        last.is_none_or(|(last, _)| *last < run.first && !run.may_continue(*last))
    }

    /// Returns the greatest first id that is at most `id`.
    pub fn start_up_to(&self, id: Uuid) -> Option<(Uuid, Position)> {
        let ascending = self.ascending.partition_point(|(first, _)| *first <= id);
        let ascending = ascending.checked_sub(1).map(|index| self.ascending[index]);
        let other = self.others.range(..=id).next_back();
        let other = other.map(|(first, position)| (*first, *position));
        ascending.max(other)
    }
}
