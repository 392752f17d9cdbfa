//! Warm states, so that a command on a known aggregate reads nothing.

use std::any::Any;
use std::sync::Arc;

use quick_cache::sync::Cache as Map;

use crate::place::{Position, Version};
use crate::stream::StreamId;

/// The states of the aggregates used last, bounded by their number.
pub(crate) struct Cache(Option<Map<StreamId, Warm>>);

/// The state of an aggregate, whichever it is.
#[derive(Clone)]
pub struct Warm {
    pub(crate) state: Arc<dyn Any + Send + Sync>,
    pub(crate) version: Version,
    /// Of the newest event in it.
    pub(crate) position: Position,
    /// It is known to lag behind the store, or may well do so.
    pub(crate) lags: bool,
}

impl Cache {
    /// Room for `entries` states; 0: none is kept.
    pub(crate) fn new(entries: usize) -> Self {
        Self((entries > 0).then(|| Map::new(entries)))
    }

    /// The state as it was kept, which may lag behind the store.
    pub(crate) fn get(&self, stream: &StreamId) -> Option<Warm> {
        self.0.as_ref()?.get(stream)
    }

    /// Lets go of a state that is about to change, so that it need not be copied.
    pub(crate) fn release(&self, stream: &StreamId) {
        if let Some(map) = &self.0 {
            map.remove(stream);
        }
    }

    /// An append that went ahead of what is kept has failed; how far others came is not known here.
    pub(crate) fn doubt(&self, stream: &StreamId) {
        if let Some(warm) = self.get(stream) {
            self.put(stream, Warm { lags: true, ..warm });
        }
    }

    /// Keeps the state, unless a later one is known.
    pub(crate) fn put(&self, stream: &StreamId, warm: Warm) {
        let Some(map) = &self.0 else { return };
        let known = map.peek(stream);
        if known.is_none_or(|known| known.version <= warm.version) {
            map.insert(stream.clone(), warm);
        }
    }
}
