//! Loading an aggregate: now, or at a version, a time or a position.

use std::future::IntoFuture;
use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::source::{LoadError, Source};
use crate::aggregate::Aggregate;
use crate::boundary::Slot;
use crate::record::RecordedEvent;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

/// A load on its way; await it. Made by [`Engine::load`](crate::engine::Engine::load).
#[must_use = "a load does nothing until awaited"]
pub struct Load<'e, A: Aggregate> {
    source: &'e Source,
    id: &'e A::Id,
    at: At,
}

#[derive(Clone, Copy)]
enum At {
    Now,
    Version(Version),
    Time(Timestamp),
    Position(Position),
}

impl At {
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
    pub fn new(source: &'e Source, id: &'e A::Id) -> Self {
        Self {
            source,
            id,
            at: At::Now,
        }
    }

    /// As it was at `version`: behind that many events. A version that is not there yet is an error.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.at = At::Version(version.into());
        self
    }

    /// As it was at `time`, by the clock of the store, with the events of that very microsecond.
    pub fn at_time(mut self, time: Timestamp) -> Self {
        self.at = At::Time(time);
        self
    }

    /// As it was when the event at `position` was the newest of the store.
    pub fn at_position(mut self, position: Position) -> Self {
        self.at = At::Position(position);
        self
    }

    async fn run(self) -> Result<Loaded<A>, LoadError> {
        let stream = A::stream(self.id)?;
        let slot = match self.at {
            At::Now => self.now(stream).await?,
            _ => self.back_then(stream).await?,
        };
        if let At::Version(asked) = self.at
            && slot.version < asked
        {
            let (stream, actual) = (slot.stream, slot.version);
            return Err(LoadError::NoSuchVersion {
                stream,
                asked,
                actual,
            });
        }
        Ok(Loaded {
            state: slot.state,
            stream: slot.stream,
            version: slot.version,
            position: slot.position,
        })
    }

    async fn now(&self, stream: StreamId) -> Result<Slot<A>, LoadError> {
        let mut slot = Slot::new(stream.clone());
        if !self.source.load_warm(&mut slot).await? {
            return self.source.load(stream).await;
        }
        self.source.catch_up(&mut slot).await?;
        Ok(slot)
    }

    async fn back_then(&self, stream: StreamId) -> Result<Slot<A>, LoadError> {
        let mut warm = Slot::new(stream.clone());
        if let At::Version(asked) = self.at
            && self.source.load_warm(&mut warm).await?
            && warm.version == asked
        {
            return Ok(warm);
        }
        let mut slot = match (self.at, A::SNAPSHOT) {
            (At::Version(version), Some(policy)) => {
                let slot = self.source.restore(&policy, stream.clone()).await;
                if slot.version <= version {
                    slot
                } else {
                    Slot::new(stream)
                }
            }
            _ => Slot::new(stream),
        };
        self.source
            .fold(&mut slot, |record| self.at.includes(record))
            .await?;
        Ok(slot)
    }
}

impl<'e, A: Aggregate> IntoFuture for Load<'e, A> {
    type Output = Result<Loaded<A>, LoadError>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The state of an aggregate at a version; reads like the aggregate.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    state: Arc<A>,
    stream: StreamId,
    version: Version,
    position: Position,
}

impl<A> Loaded<A> {
    /// How many events made this state.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The position of the newest of them; 0 without events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The stream of the aggregate.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Whether anything has happened to the aggregate by then.
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
