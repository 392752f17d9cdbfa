//! [`AppendChain`]: appends in flight to one stream, each based on the state that the previous one will create.

use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use tokio::sync::watch;

use crate::state::cache::CachedState;

/// Appends in flight to one stream, each based on the state that the previous one will create.
///
/// If one of them fails, all later ones fail, too, because they expect the version that it would have created.
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

/// The chains of appends in flight that the state of a command depends on, by stream.
#[derive(Default)]
pub struct AppendChains(Vec<(StreamId, Arc<AppendChain>)>);

impl AppendChains {
    /// Adds the chain that the state of `stream` depends on.
    pub fn add(&mut self, stream: StreamId, chain: Arc<AppendChain>) {
        self.0.push((stream, chain));
    }

    /// Removes and returns the chain that the state of `stream` depends on, if any.
    pub fn take(&mut self, stream: &StreamId) -> Option<Arc<AppendChain>> {
        let index = self.0.iter().position(|(other, _)| other == stream)?;
        Some(self.0.swap_remove(index).1)
    }
}

/// The state that an append in flight will create.
#[derive(Clone)]
pub struct PipelinedState {
    /// The state.
    pub state: CachedState,
    /// The chain of the append.
    pub chain: Arc<AppendChain>,
}

impl PipelinedState {
    /// Returns whether the append is stored or has failed.
    pub fn is_resolved(&self) -> bool {
        let progress = self.chain.0.borrow();
        progress.is_broken || progress.version >= self.state.version
    }
}
