//! Warm states, so that a command on a known aggregate reads nothing.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache as Map;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;

/// The states of the aggregates used last, bounded by their number.
pub struct Cache(Option<Map<StreamId, Kept>>);

/// The place of one stream in the cache. Whoever holds it need not look for it again.
#[derive(Clone)]
pub struct Kept(Arc<Mutex<Option<Warm>>>);

/// The state of an aggregate, whichever it is.
#[derive(Clone)]
pub struct Warm {
    pub state: Arc<dyn Any + Send + Sync>,
    pub version: Version,
    /// Of the newest event in it.
    pub position: Position,
    /// It is known to lag behind the store, or may well do so.
    pub lags: bool,
}

impl Cache {
    /// Room for `entries` states; 0: none is kept.
    pub fn new(entries: usize) -> Self {
        Self((entries > 0).then(|| Map::new(entries)))
    }

    /// Where the state of `stream` is kept. What is there may lag behind the store.
    pub fn find(&self, stream: &StreamId) -> Option<Kept> {
        self.0.as_ref()?.get(stream)
    }

    /// Lets go of the state of `stream`.
    pub fn remove(&self, stream: &StreamId) {
        if let Some(map) = &self.0 {
            map.remove(stream);
        }
    }

    /// Lets go of every state.
    pub fn clear(&self) {
        if let Some(map) = &self.0 {
            map.clear();
        }
    }

    /// An append that went ahead of what is kept has failed; how far others came is not known here.
    pub fn doubt(&self, stream: &StreamId) {
        if let Some(kept) = self.find(stream)
            && let Some(warm) = &mut *kept.lock()
        {
            warm.lags = true;
        }
    }

    /// Keeps the state, unless a later one is known, and says where.
    pub fn put(&self, stream: &StreamId, warm: Warm) -> Option<Kept> {
        let map = self.0.as_ref()?;
        if let Some(kept) = map.get(stream) {
            kept.put(warm);
            return Some(kept);
        }
        let kept = Kept(Arc::new(Mutex::new(Some(warm))));
        map.insert(stream.clone(), kept.clone());
        Some(kept)
    }
}

impl Kept {
    pub fn get(&self) -> Option<Warm> {
        self.lock().clone()
    }

    /// Lets go of a state that is about to change, so that it need not be copied.
    pub fn release(&self) {
        self.lock().take();
    }

    /// Keeps the state, unless a later one is known.
    pub fn put(&self, warm: Warm) {
        let mut known = self.lock();
        if known
            .as_ref()
            .is_none_or(|known| known.version <= warm.version)
        {
            *known = Some(warm);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Warm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
