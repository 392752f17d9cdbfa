//! [`Load`] and [`Loaded`]: the state of an aggregate, now or in the past.

use std::future::IntoFuture;
use std::ops::Deref;
use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use futures_util::future::BoxFuture;

use crate::domain::aggregate::Aggregate;
use crate::domain::error::StoreError;
use crate::domain::record::RecordedEvent;
use crate::state::aggregate_state::AggregateState;
use crate::state::load_error::LoadError;
use crate::state::loader::{CacheHit, StateLoader};

/// The state of an aggregate, loaded when awaited.
///
/// Created by [`Engine::load`](crate::engine::Engine::load).
#[must_use = "a load does nothing until awaited"]
pub struct Load<'e, A: Aggregate> {
    loader: &'e StateLoader,
    id: &'e A::Id,
    at: PointInTime,
}

/// The events that a loaded state includes.
#[derive(Clone, Copy)]
enum PointInTime {
    Now,
    Version(Version),
    Time(Timestamp),
    Position(Position),
}

impl PointInTime {
    fn includes(self, record: &RecordedEvent) -> bool {
        match self {
            Self::Now => true,
            Self::Version(version) => record.version <= version,
            Self::Time(time) => record.recorded_at <= time,
            Self::Position(position) => record.position <= position,
        }
    }
}

impl<'e, A: Aggregate> Load<'e, A> {
    pub(crate) fn new(loader: &'e StateLoader, id: &'e A::Id) -> Self {
        Self {
            loader,
            id,
            at: PointInTime::Now,
        }
    }

    /// Loads the state at `version`, that is, after this number of events.
    ///
    /// A version in the future is an error.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.at = PointInTime::Version(version.into());
        self
    }

    /// Loads the state at `time`, by the clock of the store. Events of this microsecond are included.
    pub fn at_time(mut self, time: Timestamp) -> Self {
        self.at = PointInTime::Time(time);
        self
    }

    /// Loads the state at the time when the event at `position` was the last event of the store.
    ///
    /// A position in the future is an error.
    pub fn at_position(mut self, position: Position) -> Self {
        self.at = PointInTime::Position(position);
        self
    }

    async fn run(self) -> Result<Loaded<A>, LoadError> {
        let stream = A::stream(self.id)?;
        let state = match self.at {
            PointInTime::Now => self.load_current(stream).await?,
            PointInTime::Version(version) => self.load_version(stream, version).await?,
            PointInTime::Time(_) => self.replay(stream).await?.0,
            PointInTime::Position(position) => self.load_position(stream, position).await?,
        };
        Ok(Loaded {
            state: state.state,
            stream: state.stream,
            version: state.version,
            position: state.position,
        })
    }

    async fn load_current(&self, stream: StreamId) -> Result<AggregateState<A>, LoadError> {
        let mut state = AggregateState::new(stream);
        match self.loader.load_cached(&mut state) {
            Some(CacheHit::Usable | CacheHit::Stale) => {
                self.loader.refresh(&mut state).await?;
                Ok(state)
            }
            None => self.loader.load(state.stream).await,
        }
    }

    async fn load_version(
        &self,
        stream: StreamId,
        version: Version,
    ) -> Result<AggregateState<A>, LoadError> {
        let mut cached = AggregateState::new(stream.clone());
        let hit = self.loader.load_cached(&mut cached);
        if hit == Some(CacheHit::Stale) {
            self.loader.refresh(&mut cached).await?;
        }
        if hit.is_some() && cached.version == version {
            return Ok(cached);
        }
        let snapshot = self.loader.load_snapshot(&stream).await;
        let mut from_snapshot = snapshot.filter(|state| state.version <= version);
        if let Some(state) = &mut from_snapshot {
            let includes = |record: &RecordedEvent| self.at.includes(record);
            if !self.loader.continue_snapshot(state, includes).await? {
                from_snapshot = None;
            }
        }
        let state = match from_snapshot {
            Some(state) => state,
            None => self.replay(stream).await?.0,
        };
        if state.version < version {
            return Err(LoadError::NoSuchVersion {
                stream: state.stream,
                requested: version,
                actual: state.version,
            });
        }
        Ok(state)
    }

    async fn load_position(
        &self,
        stream: StreamId,
        position: Position,
    ) -> Result<AggregateState<A>, LoadError> {
        let (state, head) = self.replay(stream).await?;
        match head < position {
            true => Err(StoreError::BeyondHead { position, head }.into()),
            false => Ok(state),
        }
    }

    /// Applies the events up to the point in time, and returns the head of the log, too.
    async fn replay(&self, stream: StreamId) -> Result<(AggregateState<A>, Position), LoadError> {
        let mut state = AggregateState::new(stream);
        let includes = |record: &RecordedEvent| self.at.includes(record);
        let head = self.loader.apply_newer(&mut state, includes).await?;
        Ok((state, head))
    }
}

impl<'e, A: Aggregate> IntoFuture for Load<'e, A> {
    type Output = Result<Loaded<A>, LoadError>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The state of an aggregate at a version. It dereferences to the aggregate.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    state: Arc<A>,
    stream: StreamId,
    version: Version,
    position: Position,
}

impl<A> Loaded<A> {
    /// Returns the version: the number of events in this state.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the position of the last event in this state, or 0 without events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the stream of the aggregate.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Returns whether the aggregate has any events at this version.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.version > Version::ZERO
    }
}

impl<A> Deref for Loaded<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}
