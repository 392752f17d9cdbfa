//! [`AppendChain`]: appends in flight to one stream, each based on the state that the previous one will create.

use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use tokio::sync::watch;
use uuid::Uuid;

use crate::state::cache::CachedState;

/// Appends in flight to one stream, each based on the state that the previous one will create.
///
/// If one of them fails, all later ones fail, too, because they require the events that it would have stored.
pub struct AppendChain(watch::Sender<ChainProgress>);

#[derive(Clone, Copy, Default)]
struct ChainProgress {
    /// The version of the last stored event.
    version: Version,
    /// The position of the last stored event.
    position: Position,
    /// Set if an append of the chain failed.
    is_broken: bool,
}

impl AppendChain {
    /// Creates a chain without stored appends.
    pub fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// Records that an append is stored, whose last event has this version and position.
    pub fn advance(&self, version: Version, position: Position) {
        self.0.send_modify(|progress| {
            if version > progress.version {
                (progress.version, progress.position) = (version, position);
            }
        });
    }

    /// Records that an append failed.
    pub fn mark_broken(&self) {
        self.0.send_modify(|progress| progress.is_broken = true);
    }

    /// Returns whether an append failed.
    pub fn is_broken(&self) -> bool {
        self.0.borrow().is_broken
    }

    /// Returns the position of the last stored event.
    pub fn position(&self) -> Position {
        self.0.borrow().position
    }

    /// Waits until the event with this version is stored, or the chain is broken.
    ///
    /// Returns whether the event is stored.
    pub async fn wait_until_stored(&self, version: Version) -> bool {
        let mut progress = self.0.subscribe();
        let resolved =
            progress.wait_for(|progress| progress.is_broken || progress.version >= version);
        // `wait_for` cannot fail: `self` owns the sender.
        resolved
            .await
            .is_ok_and(|progress| progress.version >= version)
    }
}

/// The appends in flight that the state of a command depends on, by stream.
#[derive(Default)]
pub struct Dependencies(Vec<(StreamId, Dependency)>);

/// The append in flight that the state of a stream depends on.
#[derive(Clone)]
pub struct Dependency {
    /// The chain of the append.
    pub chain: Arc<AppendChain>,
    /// The id of the last event in the state. The state is stored if this event is.
    pub last_event: Uuid,
}

impl Dependencies {
    /// Adds the dependency of the state of `stream`.
    pub fn add(&mut self, stream: StreamId, dependency: Dependency) {
        self.0.push((stream, dependency));
    }

    /// Removes and returns the dependency of the state of `stream`, if any.
    pub fn take(&mut self, stream: &StreamId) -> Option<Dependency> {
        let index = self.0.iter().position(|(other, _)| other == stream)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Returns the ids of the events that must be stored.
    pub fn last_events(&self) -> Vec<Uuid> {
        self.0
            .iter()
            .map(|(_, dependency)| dependency.last_event)
            .collect()
    }
}

/// The state that an append in flight will create.
#[derive(Clone)]
pub struct PipelinedState {
    /// The state.
    pub state: CachedState,
    /// The append.
    pub dependency: Dependency,
}

impl PipelinedState {
    /// Returns whether the append is stored or has failed.
    pub fn is_resolved(&self) -> bool {
        let progress = self.dependency.chain.0.borrow();
        progress.is_broken || progress.version >= self.state.version
    }
}
