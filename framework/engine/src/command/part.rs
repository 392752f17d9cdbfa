//! [`BoundaryPart`]: one aggregate or DCB query of a consistency boundary.

use std::collections::HashSet;

use async_trait::async_trait;
use factum_core::append::AppendCondition;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::stream_id::StreamId;

use crate::domain::aggregate::Aggregate;
use crate::domain::event_selection::SelectedTypes;
use crate::state::aggregate_state::AggregateState;
use crate::state::cache::{AggregateCache, CachedState, QueryKey};
use crate::state::due_snapshot::{DueSnapshot, due_snapshot};
use crate::state::load_error::LoadError;
use crate::state::loader::{CacheHit, StateLoader};

/// The parts of a boundary.
pub type BoundaryParts<'p> = Vec<&'p mut dyn BoundaryPart>;

/// One aggregate or DCB query of a boundary, without its type.
#[async_trait]
pub trait BoundaryPart: Send {
    /// Returns the part as a DCB query, if it is one.
    fn as_query(&mut self) -> Option<&mut dyn QueryPart> {
        None
    }

    /// Returns the stream of the aggregate, or `None` for a query.
    fn stream(&self) -> Option<&StreamId>;

    /// Returns the version of the state, or 0 for a query.
    fn version(&self) -> Version;

    /// Returns the position of the last event that the state depends on.
    fn position(&self) -> Position;

    /// Loads the state from the cache. Returns `None` if it has none.
    fn load_cached(&mut self, loader: &StateLoader) -> Option<CacheHit>;

    /// Replaces the state by `cached`, unless that is the state of another type.
    fn restore(&mut self, cached: CachedState) -> bool;

    /// Drops the cached state that is about to be changed, so that the change needs no copy.
    fn release_cached(&self);

    /// Returns the state, and leaves the state of an aggregate without events.
    ///
    /// Returns `None` for a query.
    fn take(&mut self) -> Option<CachedState>;

    /// Sets the position of the last event.
    fn set_position(&mut self, position: Position);

    /// Loads the state from the store.
    async fn load(&mut self, loader: &StateLoader) -> Result<(), LoadError>;

    /// Applies the newer events in the store, and returns whether there were any.
    async fn refresh(&mut self, loader: &StateLoader) -> Result<bool, LoadError>;

    /// Returns the snapshot that is due since the version `previous`.
    fn due_snapshot(&self, previous: Version) -> Option<DueSnapshot>;

    /// Saves the state in the cache, and as a snapshot if one is due since the version `previous`.
    fn keep(&mut self, loader: &StateLoader, previous: Version);
}

/// Returns the streams of `parts`, in their order.
pub fn streams_of(parts: &BoundaryParts<'_>) -> Vec<StreamId> {
    let streams = parts.iter().filter_map(|part| part.stream().cloned());
    streams.collect()
}

/// Returns the first stream that occurs a second time.
pub fn find_duplicate(streams: &[StreamId]) -> Option<&StreamId> {
    // Most commands have so few streams that a set would cost more than it saves.
    if streams.len() <= 8 {
        let mut numbered = streams.iter().enumerate();
        let duplicate = numbered.find(|(index, stream)| streams[..*index].contains(stream));
        return duplicate.map(|(_, stream)| stream);
    }
    let mut seen = HashSet::with_capacity(streams.len());
    streams.iter().find(|stream| !seen.insert(*stream))
}

/// A DCB query of a boundary, without the types of its state and its events.
///
/// All commands with the query share its state, which each locks from the load to the end of the decision.
#[async_trait]
pub trait QueryPart: Send {
    /// Returns the query.
    fn query(&self) -> &Query;

    /// Returns the event types of the query.
    fn event_types(&self) -> &'static [SelectedTypes];

    /// Returns the key of the shared state in the cache.
    fn key(&self) -> QueryKey;

    /// Returns whether the command holds the lock of the shared state.
    fn is_locked(&self) -> bool;

    /// Finds the shared state in the cache, and returns its address in memory.
    fn find(&mut self, cache: &AggregateCache, key: QueryKey) -> usize;

    /// Waits for the lock of the shared state that was found.
    async fn lock(&mut self);

    /// Releases the shared state. The command must lock and refresh it before it decides again.
    fn release(&mut self);

    /// Returns the append condition of the decision; `None` if no event can match.
    fn condition(&self) -> Option<AppendCondition>;
}

#[async_trait]
impl<A: Aggregate> BoundaryPart for AggregateState<A> {
    fn stream(&self) -> Option<&StreamId> {
        Some(&self.stream)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn position(&self) -> Position {
        self.position
    }

    fn load_cached(&mut self, loader: &StateLoader) -> Option<CacheHit> {
        loader.load_cached(self)
    }

    fn restore(&mut self, cached: CachedState) -> bool {
        self.restore(cached)
    }

    fn release_cached(&self) {
        if let Some(entry) = &self.cache_entry {
            entry.release();
        }
    }

    fn take(&mut self) -> Option<CachedState> {
        let cached = self.to_cached();
        *self = Self::new(self.stream.clone());
        Some(cached)
    }

    fn set_position(&mut self, position: Position) {
        self.position = position;
    }

    async fn load(&mut self, loader: &StateLoader) -> Result<(), LoadError> {
        *self = loader.load(self.stream.clone()).await?;
        Ok(())
    }

    async fn refresh(&mut self, loader: &StateLoader) -> Result<bool, LoadError> {
        loader.refresh(self).await
    }

    fn due_snapshot(&self, previous: Version) -> Option<DueSnapshot> {
        due_snapshot(self, previous)
    }

    fn keep(&mut self, loader: &StateLoader, previous: Version) {
        loader.keep(self, previous);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_repeated_stream_is_found_in_short_and_long_lists() {
        let streams = |keys: &mut dyn Iterator<Item = u32>| -> Vec<StreamId> {
            keys.map(|key| StreamId::new("lamp", key).unwrap())
                .collect()
        };
        for count in [0, 1, 8, 9, 1_000] {
            assert_eq!(find_duplicate(&streams(&mut (0..count))), None, "{count}");
        }
        for count in [3, 7, 8, 1_000] {
            let repeated = streams(&mut (0..count).chain([2, 1]));
            assert_eq!(
                find_duplicate(&repeated),
                Some(&repeated[count as usize]),
                "{count}"
            );
        }
    }
}
