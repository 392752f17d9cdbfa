//! [`KnownEvents`]: checks that the types in a schema lock or in a catalog have distinct stored names.

use std::any::TypeId;
use std::collections::HashMap;

use factum_engine::event::Event;
use factum_engine::event_set::{StoredNames, distinct_events};

/// The stored names of the events that were added to a schema lock or to a catalog.
#[derive(Debug, Default)]
pub struct KnownEvents(HashMap<TypeId, StoredNames>);

impl KnownEvents {
    /// Adds the stored names of `E`.
    ///
    /// # Panics
    /// Panics if another type has one of these names.
    #[track_caller]
    pub fn add<E: Event>(&mut self) {
        if !self.0.contains_key(&TypeId::of::<E>()) {
            for names in self.0.values() {
                distinct_events(&[*names, E::STORED_NAMES]);
            }
            self.0.insert(TypeId::of::<E>(), E::STORED_NAMES);
        }
    }
}
