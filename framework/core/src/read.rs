//! [`Read`]: a request for a page of events; and [`Page`], its result.

use crate::field::{InvalidField, check_count};
use crate::position::Position;
use crate::query::Query;
use crate::record::RecordedEvent;
use crate::stream_id::StreamId;

/// The maximum number of events in one page.
pub const MAX_PAGE: usize = 1_000;
/// The maximum of [`Read::max_bytes`], and its default: 16 MiB.
///
/// A page has at least one event, so the last event of a page may exceed the size.
pub const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of streams in one read.
pub const MAX_READ_STREAMS: usize = 10_000;

/// A request for one page of events of a stream, of several streams, or of the whole store.
///
/// ```
/// use factum_core::position::Version;
/// use factum_core::query::Query;
/// use factum_core::read::Read;
/// use factum_core::stream_id::StreamId;
///
/// let stream: StreamId = "account-42".parse()?;
/// let newest = Read::stream(stream.clone()).backward().limit(1);
/// let tail = Read::stream(stream).after(Version::new(17));
/// let everything = Read::all(Query::all());
/// # Ok::<(), factum_core::stream_id::InvalidStreamId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Read {
    /// The streams or the query to read.
    pub scope: Scope,
    /// The order of the events.
    pub direction: Direction,
    /// The exclusive start of the page.
    ///
    /// It is a version if `scope` is [`Scope::Stream`], and a position otherwise.
    pub cursor: u64,
    /// The maximum number of events, 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// The size at which the page ends, in bytes: 1 to [`MAX_PAGE_BYTES`].
    ///
    /// The size of an event is [`RecordedEvent::size`].
    pub max_bytes: usize,
}

/// The streams or the query that a [`Read`] covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The events of one stream, ordered by version.
    Stream(StreamId),
    /// The events of several streams, ordered by position.
    Streams(Vec<StreamId>),
    /// The events that match a query, ordered by position.
    All(Query),
}

/// The order of the events in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The oldest event is first.
    Forward,
    /// The newest event is first.
    Backward,
}

impl Read {
    /// Reads one stream, ordered by version.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::of(Scope::Stream(stream))
    }

    /// Reads several streams, ordered by position.
    #[must_use]
    pub fn streams(streams: impl IntoIterator<Item = StreamId>) -> Self {
        Self::of(Scope::Streams(streams.into_iter().collect()))
    }

    /// Reads the events that match `query`, ordered by position.
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
            max_bytes: MAX_PAGE_BYTES,
        }
    }

    /// Reads forward and begins after `cursor`.
    ///
    /// For one stream, `cursor` is a [`Version`](crate::position::Version); otherwise it is a [`Position`].
    #[must_use]
    pub fn after(mut self, cursor: impl Into<u64>) -> Self {
        self.direction = Direction::Forward;
        self.cursor = cursor.into();
        self
    }

    /// Reads backward and begins with the newest event.
    #[must_use]
    pub fn backward(self) -> Self {
        self.before(Position::MAX)
    }

    /// Reads backward and begins before `cursor`.
    ///
    /// For one stream, `cursor` is a [`Version`](crate::position::Version); otherwise it is a [`Position`].
    #[must_use]
    pub fn before(mut self, cursor: impl Into<u64>) -> Self {
        self.direction = Direction::Backward;
        self.cursor = cursor.into();
        self
    }

    /// Sets the maximum number of events, clamped to 1 to [`MAX_PAGE`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_PAGE);
        self
    }

    /// Sets the size at which the page ends, clamped to 1 to [`MAX_PAGE_BYTES`].
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes.clamp(1, MAX_PAGE_BYTES);
        self
    }

    /// Checks the rules that hold for every store; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidField`], which names the first field that violates a rule.
    pub fn check(&self) -> Result<(), InvalidField> {
        match &self.scope {
            Scope::Stream(_) => Ok(()),
            Scope::Streams(streams) => {
                check_count("streams in one read", streams.len(), MAX_READ_STREAMS)
            }
            Scope::All(query) => query.check(),
        }
    }
}

/// A page of events, in the requested order.
///
/// It ends after [`Read::limit`] events, or when its events have [`Read::max_bytes`] or more.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The events.
    pub events: Vec<RecordedEvent>,
    /// The head of the store when the page was read.
    pub head: Position,
    /// Set if there may be more events after the last one.
    ///
    /// If it is not set, the page ends because there were no more events.
    pub more: bool,
}

impl Page {
    /// Returns the position up to which the page is complete, for a forward read by position.
    ///
    /// The next page begins after this position.
    #[must_use]
    pub fn through(&self) -> Position {
        match self.events.last() {
            Some(last) if self.more => last.position,
            _ => self.head,
        }
    }
}
