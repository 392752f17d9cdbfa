//! [`StreamList`]: a request for a page of streams; and [`StreamSummary`], its items.

use std::collections::BTreeMap;

use crate::position::{Position, Version};
use crate::record::RecordedEvent;
use crate::stream_id::StreamId;

/// The maximum number of streams in one page.
pub const MAX_STREAM_LIST: usize = 1_000;

/// A request for one page of streams, in the byte order of their ids.
///
/// ```
/// use factum_core::stream_list::StreamList;
///
/// let first = StreamList::category("account").limit(100);
/// let next = first.clone().after("account-42".parse()?);
/// let everything = StreamList::all();
/// # Ok::<(), factum_core::stream_id::InvalidStreamId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamList {
    /// The category of the streams; `None` selects all.
    pub category: Option<String>,
    /// The stream after which the page begins; it need not exist.
    pub after: Option<StreamId>,
    /// The maximum number of streams to return, 1 to [`MAX_STREAM_LIST`].
    pub limit: usize,
}

/// A stream that has events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// The id of the stream.
    pub stream: StreamId,
    /// The number of its events.
    pub version: Version,
    /// The position of its last event.
    pub position: Position,
}

/// A range of stream ids, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRange {
    /// The first text of the range.
    pub from: String,
    /// The first text after the range; `None` if the range has no end.
    pub until: Option<String>,
}

impl StreamList {
    /// Creates a request for all streams.
    #[must_use]
    pub fn all() -> Self {
        Self {
            category: None,
            after: None,
            limit: MAX_STREAM_LIST,
        }
    }

    /// Creates a request for the streams of a category.
    #[must_use]
    pub fn category(category: impl Into<String>) -> Self {
        Self {
            category: Some(category.into()),
            ..Self::all()
        }
    }

    /// Begins the page after `stream`.
    #[must_use]
    pub fn after(mut self, stream: StreamId) -> Self {
        self.after = Some(stream);
        self
    }

    /// Sets the maximum number of streams, clamped to 1 to [`MAX_STREAM_LIST`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_STREAM_LIST);
        self
    }

    /// Returns the ranges of ids that the page may contain, in their order.
    ///
    /// A backend reads the ranges one after the other until the page is full.
    #[must_use]
    pub fn ranges(&self) -> Vec<StreamRange> {
        let Some(category) = &self.category else {
            let everything = StreamRange {
                from: String::new(),
                until: None,
            };
            return vec![everything];
        };
        let range = |from, until| StreamRange {
            from,
            until: Some(until),
        };
        // An id contains no control characters. The byte after `-` in ASCII is `.`.
        vec![
            range(category.clone(), format!("{category}\u{1}")),
            range(format!("{category}-"), format!("{category}.")),
        ]
    }

    /// Returns whether the page may contain `stream`.
    #[must_use]
    pub fn matches(&self, stream: &StreamId) -> bool {
        let category = self.category.as_deref();
        category.is_none_or(|category| category == stream.category())
            && self.after.as_ref().is_none_or(|after| stream > after)
    }
}

/// Collects the streams of a page from events in the order of the log.
///
/// It is for stores that have no list of streams.
#[derive(Debug)]
pub struct StreamCollector {
    list: StreamList,
    found: BTreeMap<StreamId, StreamSummary>,
}

impl StreamCollector {
    /// Creates a collector for the page `list`.
    #[must_use]
    pub fn new(list: StreamList) -> Self {
        let found = BTreeMap::new();
        Self { list, found }
    }

    /// Adds the streams of `events`.
    pub fn add(&mut self, events: Vec<RecordedEvent>) {
        for event in events {
            if self.list.matches(&event.stream) {
                let summary = StreamSummary {
                    stream: event.stream.clone(),
                    version: event.version,
                    position: event.position,
                };
                self.found.insert(event.stream, summary);
            }
        }
        while self.found.len() > self.list.limit {
            self.found.pop_last();
        }
    }

    /// Returns the page.
    #[must_use]
    pub fn into_page(self) -> Vec<StreamSummary> {
        self.found.into_values().collect()
    }
}
