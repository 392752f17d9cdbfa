//! [`EventWrite`]: the events to store, and the expected states of their streams; and [`Written`], the result.

use std::collections::HashMap;

use factum::Position;
use factum::store::{AppendEvent, NewEvent, StreamId};

use super::expected::ExpectedState;

/// Events for one or several streams, which are stored together or not at all.
#[derive(Debug, Clone, Default)]
pub struct EventWrite {
    streams: Vec<StreamWrite>,
    events: Vec<AppendEvent>,
    indices: HashMap<StreamId, usize>,
}

/// A stream of a write.
#[derive(Debug, Clone)]
pub struct StreamWrite {
    /// The stream.
    pub stream: StreamId,
    /// The state that the stream must have.
    pub expected: ExpectedState,
    /// The indices of its first and its last event; `None` if it is only checked.
    pub events: Option<(usize, usize)>,
}

/// The result of a write for one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The revision of the last event of the stream; `None` if the stream does not exist.
    pub revision: Option<u64>,
    /// The position of the last event that was written; `None` if there is none.
    pub position: Option<Position>,
}

impl EventWrite {
    /// Creates a write to one stream.
    #[must_use]
    pub fn to_stream(stream: StreamId, expected: ExpectedState) -> Self {
        let mut write = Self::default();
        write.add_stream(stream, expected);
        write
    }

    /// Adds a stream without events, which the write must not contain yet, and returns its index.
    pub fn add_stream(&mut self, stream: StreamId, expected: ExpectedState) -> usize {
        let index = self.streams.len();
        self.indices.insert(stream.clone(), index);
        self.streams.push(StreamWrite {
            stream,
            expected,
            events: None,
        });
        index
    }

    /// Adds an event of the stream with the index `stream`.
    pub fn add_event(&mut self, stream: usize, event: NewEvent) {
        let index = self.events.len();
        let events = &mut self.streams[stream].events;
        *events = Some((events.map_or(index, |(first, _)| first), index));
        self.events.push(AppendEvent { stream, event });
    }

    /// Returns the streams, each once.
    #[must_use]
    pub fn streams(&self) -> &[StreamWrite] {
        &self.streams
    }

    /// Returns the events, in the order of their positions.
    #[must_use]
    pub fn events(&self) -> &[AppendEvent] {
        &self.events
    }

    /// Returns the index of a stream.
    #[must_use]
    pub fn index_of(&self, stream: &StreamId) -> Option<usize> {
        self.indices.get(stream).copied()
    }
}
