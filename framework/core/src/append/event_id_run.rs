//! [`EventIdRun`]: consecutive event ids, which a store looks up together.

use uuid::Uuid;

use super::request::{Append, MAX_APPEND};
use crate::position::Position;

/// Events of one append with consecutive ids, in the order of their positions.
///
/// [`EventIdGenerator`](crate::event_id::EventIdGenerator) creates such ids. A store that keeps the first id of each run
/// and its position finds every stored id, although its index has one entry for many events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventIdRun {
    /// The first id.
    pub first: Uuid,
    /// The last id.
    pub last: Uuid,
    /// The index of the first event among the events of the append.
    pub index: usize,
}

impl EventIdRun {
    /// Returns a run of one id.
    #[must_use]
    pub const fn of(id: Uuid) -> Self {
        Self {
            first: id,
            last: id,
            index: 0,
        }
    }

    /// Returns a stored id of this run and its position, or `None` if no id of this run is stored.
    ///
    /// `start_up_to` returns the greatest first id of a stored run that is at most its argument, with its position.
    /// `id_at` returns the id of the event at a position.
    ///
    /// # Errors
    /// Returns the error of an argument.
    pub fn find_stored<E>(
        &self,
        start_up_to: impl FnOnce(Uuid) -> Result<Option<(Uuid, Position)>, E>,
        id_at: impl FnOnce(Position) -> Result<Option<Uuid>, E>,
    ) -> Result<Option<(Uuid, Position)>, E> {
        let Some((start, position)) = start_up_to(self.last)? else {
            return Ok(None);
        };
        if start >= self.first {
            return Ok(Some((start, position)));
        }
        if !self.may_continue(start) {
            return Ok(None);
        }
        let position = position.plus((self.first.as_u128() - start.as_u128()) as u64);
        let is_stored = id_at(position)? == Some(self.first);
        Ok(is_stored.then_some((self.first, position)))
    }

    /// Returns whether a stored run that starts with the lower id `start` can contain an id of this run.
    #[must_use]
    pub fn may_continue(&self, start: Uuid) -> bool {
        self.first.as_u128().saturating_sub(start.as_u128()) < MAX_APPEND as u128
    }
}

impl Append {
    /// Returns the runs of consecutive event ids.
    pub fn event_id_runs(&self) -> impl Iterator<Item = EventIdRun> {
        let ids = self.events.iter().map(|event| event.event.id);
        let mut ids = ids.enumerate().peekable();
        std::iter::from_fn(move || {
            let (index, first) = ids.next()?;
            let mut last = first;
            let follows =
                |last: Uuid, id: Uuid| last.as_u128().checked_add(1) == Some(id.as_u128());
            while let Some((_, id)) = ids.next_if(|(_, id)| follows(last, *id)) {
                last = id;
            }
            Some(EventIdRun { first, last, index })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::append::ExpectedVersion;
    use crate::record::NewEvent;

    fn event(id: u128) -> NewEvent {
        NewEvent {
            id: Uuid::from_u128(id),
            name: "lamp.lit".into(),
            schema_version: 1,
            content_type: crate::record::ContentType::Json,
            data: "{}".into(),
            tags: Vec::new(),
            metadata: std::sync::Arc::default(),
            personal: Vec::new(),
        }
    }

    fn append(ids: impl IntoIterator<Item = u128>) -> Append {
        let stream = "lamp-1".parse().expect("a stream id");
        let events = ids.into_iter().map(event).collect();
        Append::stream(stream, ExpectedVersion::Any, events)
    }

    #[test]
    fn runs_contain_consecutive_ids_in_order() {
        let run = |first, last, index| EventIdRun {
            first: Uuid::from_u128(first),
            last: Uuid::from_u128(last),
            index,
        };
        let append = append([5, 6, 7, 3, 4, 9, u128::MAX, 0]);
        let expected = [
            run(5, 7, 0),
            run(3, 4, 3),
            run(9, 9, 5),
            run(u128::MAX, u128::MAX, 6),
            run(0, 0, 7),
        ];
        assert!(append.event_id_runs().eq(expected));
    }

    proptest! {
        /// An index of the runs finds exactly the ids that are stored.
        #[test]
        fn index_of_runs_finds_exactly_the_stored_ids(
            appends in prop::collection::vec((0_u128..60, 1_u128..8, 1_u128..4), 1..12),
        ) {
            let mut starts = BTreeMap::new();
            let mut stored = HashMap::new();
            let mut log = Vec::new();
            for (first, count, step) in appends {
                let ids: Vec<u128> = (0..count).map(|number| first + number * step).collect();
                let runs: Vec<_> = append(ids.iter().copied()).event_id_runs().collect();
                let found = runs.iter().find_map(|run| {
                    let start_up_to = |id: Uuid| {
                        let start = starts.range(..=id).next_back();
                        Ok::<_, Infallible>(start.map(|(id, position)| (*id, *position)))
                    };
                    let id_at = |position: Position| {
                        Ok(log.get(position.get() as usize - 1).copied())
                    };
                    let Ok(found) = run.find_stored(start_up_to, id_at);
                    found
                });
                match found {
                    Some((id, position)) => prop_assert_eq!(stored.get(&id), Some(&position)),
                    None => {
                        prop_assert!(ids.iter().all(|id| !stored.contains_key(&Uuid::from_u128(*id))));
                        for run in &runs {
                            starts.insert(run.first, Position::new((log.len() + run.index) as u64 + 1));
                        }
                        for id in ids.into_iter().map(Uuid::from_u128) {
                            log.push(id);
                            stored.insert(id, Position::new(log.len() as u64));
                        }
                    }
                }
            }
        }
    }
}
