//! [`AggregateCache`]: states that are kept in memory, so that a command on a cached aggregate reads nothing.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::stream_id::StreamId;
use quick_cache::sync::Cache;

use crate::state::query_fold::{QueryFold, SharedFold};

/// The states of the most recently used aggregates and DCB queries.
///
/// A cached state may be older than the stream, because other programs write to it.
pub struct AggregateCache(Option<Caches>);

struct Caches {
    streams: Cache<StreamId, CacheEntry>,
    /// The states of DCB queries, each a [`SharedFold`].
    queries: Cache<QueryKey, Arc<dyn Any + Send + Sync>>,
}

/// A DCB query, and the types that fold its events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// The type of the state and of the event set.
    pub fold: TypeId,
    /// The type of the function that creates the state.
    pub start: TypeId,
    /// The query.
    pub query: Query,
    /// The number of equal queries before this one in a command.
    pub copy: usize,
}

/// The cache entry of one stream. A command keeps it, to update the state without another lookup.
#[derive(Clone)]
pub struct CacheEntry(Arc<Mutex<Option<CachedState>>>);

/// The state of an aggregate of any type.
#[derive(Clone)]
pub struct CachedState {
    /// The state.
    pub state: Arc<dyn Any + Send + Sync>,
    /// The version of the stream.
    pub version: Version,
    /// The position of the last event.
    pub position: Position,
    /// Set if the stream is known to have newer events, or probably has.
    pub is_stale: bool,
}

impl AggregateCache {
    /// Creates a cache for at most `capacity` states of aggregates, and as many of queries; 0 disables it.
    pub fn new(capacity: usize) -> Self {
        Self((capacity > 0).then(|| Caches {
            streams: Cache::new(capacity),
            queries: Cache::new(capacity),
        }))
    }

    /// Returns the entry of `stream`.
    pub fn get(&self, stream: &StreamId) -> Option<CacheEntry> {
        self.0.as_ref()?.streams.get(stream)
    }

    /// Returns the state of the query `key`, which all commands with that query share.
    ///
    /// If it is not in the cache, the function creates a state that has not read any event.
    pub fn query<Q: Send + Sync + 'static>(
        &self,
        key: QueryKey,
        start: impl Fn() -> QueryFold<Q>,
    ) -> SharedFold<Q> {
        let new = || Arc::new(tokio::sync::Mutex::new(start()));
        let Some(Caches { queries, .. }) = &self.0 else {
            return new();
        };
        let cached = queries.get(&key).map(Arc::downcast);
        cached.and_then(Result::ok).unwrap_or_else(|| {
            let new = new();
            queries.insert(key, new.clone());
            new
        })
    }

    /// Removes the state of `stream`.
    pub fn remove(&self, stream: &StreamId) {
        if let Some(Caches { streams, .. }) = &self.0 {
            streams.remove(stream);
        }
    }

    /// Removes the states of all queries, which may contain data of any stream.
    pub fn clear_queries(&self) {
        if let Some(Caches { queries, .. }) = &self.0 {
            queries.clear();
        }
    }

    /// Removes all states.
    pub fn clear(&self) {
        if let Some(Caches { streams, .. }) = &self.0 {
            streams.clear();
        }
        self.clear_queries();
    }

    /// Marks the state of `stream` as stale, so that the next command reads newer events first.
    pub fn mark_stale(&self, stream: &StreamId) {
        if let Some(entry) = self.get(stream)
            && let Some(cached) = &mut *entry.lock()
        {
            cached.is_stale = true;
        }
    }

    /// Stores a state, unless the cache has a later one, and returns the entry.
    pub fn put(&self, stream: &StreamId, state: CachedState) -> Option<CacheEntry> {
        let cache = &self.0.as_ref()?.streams;
        if let Some(entry) = cache.get(stream) {
            entry.put(state);
            return Some(entry);
        }
        let entry = CacheEntry(Arc::new(Mutex::new(Some(state))));
        cache.insert(stream.clone(), entry.clone());
        Some(entry)
    }
}

impl CacheEntry {
    /// Returns the state.
    pub fn get(&self) -> Option<CachedState> {
        self.lock().clone()
    }

    /// Drops the state, so that its last owner can change it without a copy.
    pub fn release(&self) {
        self.lock().take();
    }

    /// Stores a state, unless the entry has a later one.
    pub fn put(&self, state: CachedState) {
        let mut cached = self.lock();
        if cached
            .as_ref()
            .is_none_or(|cached| cached.version <= state.version)
        {
            *cached = Some(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<CachedState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CacheEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheEntry").finish_non_exhaustive()
    }
}
