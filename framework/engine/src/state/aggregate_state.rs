//! [`AggregateState`]: the state of one aggregate, with its version.

use std::sync::Arc;

use factum_core::append::ExpectedVersion;
use factum_core::position::{Position, Version};
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;

use crate::domain::aggregate::Aggregate;
use crate::domain::event_form::EventForm as _;
use crate::state::cache::{CacheEntry, CachedState};

/// The state of one aggregate at a version.
#[derive(Debug)]
pub struct AggregateState<A> {
    /// The stream of the aggregate.
    pub stream: StreamId,
    /// The state, shared with the cache and with readers.
    pub state: Arc<A>,
    /// The version of the stream.
    pub version: Version,
    /// The position of the last event, or 0 without events.
    pub position: Position,
    /// The cache entry of the stream, if it is known; saves a lookup.
    pub cache_entry: Option<CacheEntry>,
}

impl<A: Aggregate> AggregateState<A> {
    /// Creates the state of an aggregate without events.
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            state: Arc::new(A::default()),
            version: Version::ZERO,
            position: Position::ZERO,
            cache_entry: None,
        }
    }

    /// Returns the state in the form that the cache stores; both share it.
    pub fn to_cached(&self) -> CachedState {
        CachedState {
            state: self.state.clone(),
            version: self.version,
            position: self.position,
            is_stale: false,
        }
    }

    /// Replaces the state by `cached`, unless that is the state of another aggregate type.
    pub fn restore(&mut self, cached: CachedState) -> bool {
        let Ok(state) = cached.state.downcast() else {
            return false;
        };
        self.state = state;
        self.version = cached.version;
        self.position = cached.position;
        true
    }

    /// Returns the version that an append based on this state expects.
    pub fn expected_version(&self) -> ExpectedVersion {
        match self.version {
            Version::ZERO => ExpectedVersion::NoStream,
            version => ExpectedVersion::Exact(version),
        }
    }

    /// Applies the next record of the stream, which represents `events`.
    pub fn apply(&mut self, events: impl IntoIterator<Item = A::Event>, record: &RecordedEvent) {
        let state = Arc::make_mut(&mut self.state);
        for event in events {
            state.apply(&A::Applied::stored(event, record));
        }
        self.advance(record.position);
    }

    /// Applies the next event of the stream, which is about to be stored at `position`.
    ///
    /// The state must not need the record of the event.
    pub fn apply_pending(&mut self, event: A::Event, position: Position) {
        debug_assert!(!A::Applied::NEEDS_RECORD, "the event has no record yet");
        if let Some(event) = A::Applied::pending(event) {
            Arc::make_mut(&mut self.state).apply(&event);
        }
        self.advance(position);
    }

    fn advance(&mut self, position: Position) {
        self.version = self.version.plus(1);
        self.position = position;
    }
}
