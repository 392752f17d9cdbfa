//! [`Slot`]: one aggregate that a command looks at, and what is known of it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::aggregate::Aggregate;
use crate::engine::cache::{Kept, Warm};
use crate::engine::source::{LoadError, Source};
use factum_core::append::{AppendCondition, ExpectedVersion};
use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;

/// One part of what a command looks at, as the engine handles it.
#[async_trait]
pub trait Part: Send {
    /// The stream behind it; `None` for a query.
    fn stream(&self) -> Option<&StreamId>;

    /// The version that is known; 0 for a query.
    fn version(&self) -> Version;

    /// The position of the newest event that is known.
    fn position(&self) -> Position;

    /// What must not happen before the decision is stored.
    fn condition(&self) -> Option<AppendCondition>;

    /// Takes a state that is known. `false`: it is not one of this aggregate.
    fn take_warm(&mut self, warm: Warm) -> bool;

    /// Learns where its state is kept.
    fn is_kept(&mut self, kept: Kept);

    /// Lets go of what is kept of a state that is about to change, so that it need not be copied.
    fn release(&self);

    /// Gives the state away, and knows nothing any more. `None`: there is none to be kept.
    fn give_away(&mut self) -> Option<Warm>;

    /// Learns where its newest event stands.
    fn place(&mut self, position: Position);

    /// Reads the state from the store.
    async fn load(&mut self, source: &Source) -> Result<(), LoadError>;

    /// Reads what is new since. `true`: there was something.
    async fn refresh(&mut self, source: &Source) -> Result<bool, LoadError>;

    /// The snapshot that is due, if the version before was `seen`.
    fn snapshot(&self, seen: Version) -> Option<Snapshot>;

    /// Puts the state into the cache. `seen`: the version in the cache before, for the snapshot policy.
    fn keep(&mut self, source: &Source, seen: Version);
}

/// One aggregate that a command looks at, and what is known of it.
#[derive(Debug)]
pub struct Slot<A> {
    pub stream: StreamId,
    pub state: Arc<A>,
    pub version: Version,
    pub position: Position,
    /// Where the state is kept, if that is known.
    pub kept: Option<Kept>,
}

impl<A: Aggregate> Slot<A> {
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            state: Arc::new(A::default()),
            version: Version::ZERO,
            position: Position::ZERO,
            kept: None,
        }
    }

    pub fn warm(&self) -> Warm {
        Warm {
            state: self.state.clone(),
            version: self.version,
            position: self.position,
            lags: false,
        }
    }

    pub fn expected(&self) -> ExpectedVersion {
        match self.version {
            Version::ZERO => ExpectedVersion::NoStream,
            version => ExpectedVersion::Exact(version),
        }
    }

    /// Takes the next event of the stream, which stands at `position`, into the state.
    pub fn take(&mut self, event: &A::Event, position: Position) {
        Arc::make_mut(&mut self.state).apply(event);
        self.version = self.version.plus(1);
        self.position = position;
    }

    /// The same, where the stored event stands for several events, or for none.
    pub fn take_all(&mut self, events: impl Iterator<Item = A::Event>, position: Position) {
        let state = Arc::make_mut(&mut self.state);
        events.for_each(|event| state.apply(&event));
        self.version = self.version.plus(1);
        self.position = position;
    }
}

#[async_trait]
impl<A: Aggregate> Part for Slot<A> {
    fn stream(&self) -> Option<&StreamId> {
        Some(&self.stream)
    }

    fn version(&self) -> Version {
        self.version
    }

    fn position(&self) -> Position {
        self.position
    }

    fn condition(&self) -> Option<AppendCondition> {
        None
    }

    fn take_warm(&mut self, warm: Warm) -> bool {
        let Ok(state) = warm.state.downcast() else {
            return false;
        };
        (self.state, self.version, self.position) = (state, warm.version, warm.position);
        true
    }

    fn is_kept(&mut self, kept: Kept) {
        self.kept = Some(kept);
    }

    fn release(&self) {
        if let Some(kept) = &self.kept {
            kept.release();
        }
    }

    fn give_away(&mut self) -> Option<Warm> {
        let warm = self.warm();
        *self = Self::new(self.stream.clone());
        Some(warm)
    }

    fn place(&mut self, position: Position) {
        self.position = position;
    }

    async fn load(&mut self, source: &Source) -> Result<(), LoadError> {
        *self = source.load(self.stream.clone()).await?;
        Ok(())
    }

    async fn refresh(&mut self, source: &Source) -> Result<bool, LoadError> {
        source.catch_up(self).await
    }

    fn snapshot(&self, seen: Version) -> Option<Snapshot> {
        Source::snapshot(self, seen)
    }

    fn keep(&mut self, source: &Source, seen: Version) {
        source.keep(self, seen);
    }
}
