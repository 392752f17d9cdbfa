//! What a store is asked to read, and the page that it answers with.

use crate::position::Position;
use crate::query::Query;
use crate::record::RecordedEvent;
use crate::stream_id::StreamId;

/// The most events in one page.
pub const MAX_PAGE: usize = 1_000;

/// One page of events, of a stream, of several streams, or of the whole store.
///
/// ```
/// # use factum::{Read, Query, StreamId, Version};
/// # let stream: StreamId = "account-42".parse()?;
/// let newest = Read::stream(stream.clone()).backward().limit(1);
/// let tail = Read::stream(stream).after(Version::new(17));
/// let everything = Read::all(Query::all());
/// # Ok::<(), factum::InvalidStreamId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Whose events.
    pub scope: Scope,
    /// Oldest first, or newest first.
    pub direction: Direction,
    /// The page begins behind this place, which is not part of it: a version where one stream is read, a
    /// position elsewhere.
    pub cursor: u64,
    /// At most this many events, 1 to [`MAX_PAGE`].
    pub limit: usize,
}

/// Whose events a [`Read`] wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Those of one stream, by version.
    Stream(StreamId),
    /// Those of several streams, by position.
    Streams(Vec<StreamId>),
    /// Those that match a query, by position.
    All(Query),
}

/// Oldest or newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

impl Read {
    /// The events of one stream, by version.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::of(Scope::Stream(stream))
    }

    /// The events of several streams, by position.
    #[must_use]
    pub fn streams(streams: impl IntoIterator<Item = StreamId>) -> Self {
        Self::of(Scope::Streams(streams.into_iter().collect()))
    }

    /// The events that match `query`, by position.
    #[must_use]
    pub fn all(query: Query) -> Self {
        Self::of(Scope::All(query))
    }

    fn of(scope: Scope) -> Self {
        Self {
            scope,
            direction: Direction::Forward,
            cursor: 0,
            limit: MAX_PAGE,
        }
    }

    /// Forward, from behind `cursor`: a [`Version`](crate::Version) of one stream, a [`Position`]
    /// elsewhere.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<u64>) -> Self {
        self.direction = Direction::Forward;
        self.cursor = cursor.into();
        self
    }

    /// Backward, from the newest.
    #[must_use]
    pub fn backward(self) -> Self {
        self.before(Position::MAX)
    }

    /// Backward, from ahead of `cursor`.
    #[must_use]
    pub fn before(mut self, cursor: impl Into<u64>) -> Self {
        self.direction = Direction::Backward;
        self.cursor = cursor.into();
        self
    }

    /// At most `limit` events, cut to 1 to [`MAX_PAGE`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_PAGE);
        self
    }
}

/// A page of events, in the order that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The events.
    pub events: Vec<RecordedEvent>,
    /// The head of the store when the page was read.
    pub head: Position,
    /// There may be more behind the last event. `false`: the page ended because nothing else was there.
    pub more: bool,
}

impl Page {
    /// Up to where a forward reader of positions knows everything that it asked for.
    #[must_use]
    pub fn through(&self) -> Position {
        match self.events.last() {
            Some(last) if self.more => last.position,
            _ => self.head,
        }
    }
}
