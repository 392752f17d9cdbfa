//! [`StreamWrite`]: the events for one stream; and [`Written`], the result.

use factum::Position;
use factum::store::{NewEvent, StreamId};

use super::expected::ExpectedState;

/// The events for one stream.
#[derive(Debug, Clone)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The state that the stream must have.
    pub expected: ExpectedState,
    /// The events; without any, only the state is checked.
    pub events: Vec<NewEvent>,
}

/// The result of a write to one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The revision of the last event of the stream; `None` if the stream does not exist.
    pub revision: Option<u64>,
    /// The position of the last event that was written; `None` if there is none.
    pub position: Option<Position>,
}
