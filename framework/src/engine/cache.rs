//! Warm states, so that a command on a known aggregate reads nothing.

use std::any::Any;
use std::sync::Arc;

use quick_cache::sync::Cache as Map;

use crate::aggregate::Aggregate;
use crate::boundary::Slot;
use crate::place::{Position, Version};
use crate::stream::StreamId;

/// The states of the aggregates used last, bounded by their number.
pub(crate) struct Cache(Option<Map<StreamId, Warm>>);

#[derive(Clone)]
struct Warm {
    state: Arc<dyn Any + Send + Sync>,
    version: Version,
    position: Position,
}

impl Cache {
    /// Room for `entries` states; 0: none is kept.
    pub(crate) fn new(entries: usize) -> Self {
        Self((entries > 0).then(|| Map::new(entries)))
    }

    /// The state as it was kept, which may lag behind the store.
    pub(crate) fn get<A: Aggregate>(&self, stream: &StreamId) -> Option<Slot<A>> {
        let warm = self.0.as_ref()?.get(stream)?;
        Some(Slot {
            stream: stream.clone(),
            state: warm.state.downcast().ok()?,
            version: warm.version,
            position: warm.position,
        })
    }

    /// Lets go of a state that is about to change, so that it need not be copied.
    pub(crate) fn release(&self, stream: &StreamId) {
        if let Some(map) = &self.0 {
            map.remove(stream);
        }
    }

    /// Keeps the state, unless a later one is known.
    pub(crate) fn put<A: Aggregate>(&self, slot: &Slot<A>) {
        let Some(map) = &self.0 else { return };
        if map
            .peek(&slot.stream)
            .is_some_and(|known| known.version > slot.version)
        {
            return;
        }
        map.insert(
            slot.stream.clone(),
            Warm {
                state: slot.state.clone(),
                version: slot.version,
                position: slot.position,
            },
        );
    }
}
