//! [`find()`]: recognizes a repeated write by the ids of the events that are stored at its place.

use factum::Position;
use factum::store::{Query, Read, RecordedEvent, Store, StoreError, Version};
use uuid::Uuid;

use super::event::{client_id, revision};
use super::expected::ExpectedState;
use super::stream_write::{StreamWrite, Written};

/// The place at which the events of a repeated write are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatPlace {
    /// The event with this index among all events of the write is at this position.
    Position {
        /// The index.
        index: usize,
        /// The position.
        position: Position,
    },
    /// The expected version of the stream determines the place of the events.
    Expected {
        /// The index of the stream.
        stream: usize,
        /// The version of the stream before the write.
        before: Version,
    },
}

impl RepeatPlace {
    /// Returns the place of the event that is stored with `id` at `position`. `ids` are those of all events of the write.
    #[must_use]
    pub fn of_id(
        writes: &[StreamWrite],
        ids: &[Uuid],
        id: Uuid,
        position: Position,
    ) -> Option<Self> {
        // The expected version is more precise than the id.
        if let Some(place) = Self::of_expected(writes) {
            return Some(place);
        }
        let index = ids.iter().position(|other| *other == id)?;
        Some(Self::Position { index, position })
    }

    /// Returns the place that the expected version of a stream determines.
    #[must_use]
    pub fn of_expected(writes: &[StreamWrite]) -> Option<Self> {
        writes.iter().enumerate().find_map(|(stream, write)| {
            let before = match write.expected {
                ExpectedState::NoStream => Version::ZERO,
                ExpectedState::Revision(revision) => Version::new(revision.saturating_add(1)),
                ExpectedState::Any | ExpectedState::Exists => return None,
            };
            (!write.events.is_empty()).then_some(Self::Expected { stream, before })
        })
    }
}

/// Returns the results of the first write, if the events at the place have the ids of the events of the write.
///
/// # Errors
/// Returns the error of the store.
pub async fn find(
    store: &dyn Store,
    writes: &[StreamWrite],
    place: Option<RepeatPlace>,
) -> Result<Option<Vec<Written>>, StoreError> {
    let Some(place) = place else {
        return Ok(None);
    };
    let first = match place {
        RepeatPlace::Position { index, position } => {
            first_of(store, writes, index, position).await?
        }
        RepeatPlace::Expected { stream, before } => {
            let read = Read::stream(writes[stream].stream.clone())
                .after(before)
                .limit(1);
            let first = store.read(read).await?.events.pop();
            first.map(|event| (stream, event))
        }
    };
    let Some((stream, first)) = first else {
        return Ok(None);
    };
    match writes {
        [write] => in_stream(store, write, &first).await,
        writes => in_log(store, writes, stream, &first).await,
    }
}

/// Returns the first event of the stream to which the event at `position` belongs, and the index of the stream.
async fn first_of(
    store: &dyn Store,
    writes: &[StreamWrite],
    index: usize,
    position: Position,
) -> Result<Option<(usize, RecordedEvent)>, StoreError> {
    let before = Position::new(position.get().saturating_sub(1));
    let read = Read::all(Query::all()).after(before).limit(1);
    let Some(found) = store.read(read).await?.events.pop() else {
        return Ok(None);
    };
    let mut index = index;
    for (stream, write) in writes.iter().enumerate() {
        if index >= write.events.len() {
            index -= write.events.len();
            continue;
        }
        if found.stream != write.stream {
            return Ok(None);
        }
        let Some(before) = found.version.get().checked_sub(index as u64 + 1) else {
            return Ok(None);
        };
        let read = Read::stream(found.stream).after(before).limit(1);
        let first = store.read(read).await?.events.pop();
        return Ok(first.map(|first| (stream, first)));
    }
    Ok(None)
}

/// Compares with the events of the stream from `first` on, which other writes may have stored.
async fn in_stream(
    store: &dyn Store,
    write: &StreamWrite,
    first: &RecordedEvent,
) -> Result<Option<Vec<Written>>, StoreError> {
    let (mut expected, mut last) = (write.events.iter(), None);
    let mut read = Read::stream(write.stream.clone()).after(revision(first));
    while expected.len() > 0 {
        let page = store.read(read.clone().limit(expected.len())).await?;
        let Some(newest) = page.events.last().cloned() else {
            return Ok(None);
        };
        for event in &page.events {
            if expected
                .next()
                .is_none_or(|expected| expected.id != client_id(event))
            {
                return Ok(None);
            }
        }
        read = read.after(newest.version);
        last = Some(newest);
    }
    Ok(last.map(|last| {
        vec![Written {
            revision: Some(revision(&last)),
            position: Some(last.position),
        }]
    }))
}

/// Compares with the events of the log that one append has stored. `first` is the first event of the stream with the index
/// `stream`.
async fn in_log(
    store: &dyn Store,
    writes: &[StreamWrite],
    stream: usize,
    first: &RecordedEvent,
) -> Result<Option<Vec<Written>>, StoreError> {
    let earlier: usize = writes[..stream]
        .iter()
        .map(|write| write.events.len())
        .sum();
    let Some(mut after) = first.position.get().checked_sub(earlier as u64 + 1) else {
        return Ok(None);
    };
    let mut written = Vec::new();
    for write in writes {
        let mut result = Written {
            revision: None,
            position: None,
        };
        let mut expected = write.events.iter();
        while expected.len() > 0 {
            let read = Read::all(Query::all()).after(after).limit(expected.len());
            let page = store.read(read).await?;
            if page.events.is_empty() {
                return Ok(None);
            }
            for event in &page.events {
                let is_repeated = event.stream == write.stream
                    && expected
                        .next()
                        .is_some_and(|expected| expected.id == client_id(event));
                if !is_repeated {
                    return Ok(None);
                }
                after = event.position.get();
                result = Written {
                    revision: Some(revision(event)),
                    position: Some(event.position),
                };
            }
        }
        written.push(result);
    }
    Ok(Some(written))
}
