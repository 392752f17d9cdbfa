//! [`EventTypeList`]: a request for a page of event types; and [`EventTypeSummary`], its items.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::position::Position;

/// The maximum number of event types in one page.
pub const MAX_EVENT_TYPE_LIST: usize = 1_000;

/// A request for one page of event types, in the byte order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeList {
    /// The event type after which the page begins; it need not exist.
    pub after: Option<String>,
    /// The maximum number of event types to return, 1 to [`MAX_EVENT_TYPE_LIST`].
    pub limit: usize,
}

/// An event type of which the log has events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeSummary {
    /// The event type, for example `account.opened`.
    pub name: String,
    /// The position of its last event.
    pub position: Position,
}

impl EventTypeList {
    /// Creates a request for the first page.
    #[must_use]
    pub fn all() -> Self {
        Self {
            after: None,
            limit: MAX_EVENT_TYPE_LIST,
        }
    }

    /// Begins the page after the event type `name`.
    #[must_use]
    pub fn after(mut self, name: impl Into<String>) -> Self {
        self.after = Some(name.into());
        self
    }

    /// Sets the maximum number of event types, clamped to 1 to [`MAX_EVENT_TYPE_LIST`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_EVENT_TYPE_LIST);
        self
    }
}

impl Default for EventTypeList {
    fn default() -> Self {
        Self::all()
    }
}

/// The event types of the log up to a position, so that a list examines only newer events.
#[derive(Debug, Default)]
pub struct EventTypeIndex(Mutex<IndexedEventTypes>);

#[derive(Debug, Default)]
struct IndexedEventTypes {
    through: Position,
    types: BTreeMap<String, Position>,
}

impl EventTypeIndex {
    /// Creates an empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the position after which events are missing in the index of a log up to `head`.
    ///
    /// If the log was replaced by a shorter one, the index begins again.
    #[must_use]
    pub fn after(&self, head: Position) -> Position {
        let mut indexed = self.lock();
        if indexed.through > head {
            *indexed = IndexedEventTypes::default();
        }
        indexed.through
    }

    /// Adds the event types of the events up to `through`, with the positions of their last events.
    pub fn add(&self, found: impl IntoIterator<Item = (String, Position)>, through: Position) {
        let mut indexed = self.lock();
        for (name, position) in found {
            let newest = indexed.types.entry(name).or_default();
            *newest = position.max(*newest);
        }
        indexed.through = through.max(indexed.through);
    }

    /// Returns the page `list`.
    #[must_use]
    pub fn page(&self, list: &EventTypeList) -> Vec<EventTypeSummary> {
        let indexed = self.lock();
        let after = match &list.after {
            Some(after) => Bound::Excluded(&**after),
            None => Bound::Unbounded,
        };
        let types = indexed.types.range::<str, _>((after, Bound::Unbounded));
        let page = types
            .take(list.limit)
            .map(|(name, position)| EventTypeSummary {
                name: name.clone(),
                position: *position,
            });
        page.collect()
    }

    fn lock(&self) -> MutexGuard<'_, IndexedEventTypes> {
        // No method panics while it changes the index.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
