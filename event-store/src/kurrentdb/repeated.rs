//! [`find()`]: recognizes a repeated write by the ids of the events that are stored at its place.

use factum::Position;
use factum::store::{Query, Read, RecordedEvent, Store, StoreError, Version};
use uuid::Uuid;

use super::event::{client_id, revision};
use super::expected::ExpectedState;
use super::stream_write::{EventWrite, Written};
use crate::stored_events::are_stored;

/// The place at which the events of a repeated write are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatPlace {
    /// The event with this index is at this position.
    Position {
        /// The index.
        index: usize,
        /// The position.
        position: Position,
    },
    /// The first event of a stream is at this version of it.
    Version {
        /// The index of the stream.
        stream: usize,
        /// The version.
        version: Version,
    },
}

impl RepeatPlace {
    /// Returns the place of the event that is stored with `id` at `position`. `ids` are those of all events of the write.
    #[must_use]
    pub fn of_id(write: &EventWrite, ids: &[Uuid], id: Uuid, position: Position) -> Option<Self> {
        // The expected version is more precise than the id.
        if let Some(place) = Self::of_expected(write) {
            return Some(place);
        }
        let index = ids.iter().position(|other| *other == id)?;
        Some(Self::Position { index, position })
    }

    /// Returns the place that the expected version of a stream determines.
    #[must_use]
    pub fn of_expected(write: &EventWrite) -> Option<Self> {
        let mut streams = write.streams().iter().enumerate();
        streams.find_map(|(stream, expected)| {
            let before = match expected.expected {
                ExpectedState::NoStream => 0,
                ExpectedState::Revision(revision) => revision.saturating_add(1),
                ExpectedState::Any | ExpectedState::Exists => return None,
            };
            let version = Version::new(before).plus(1);
            expected.events?;
            Some(Self::Version { stream, version })
        })
    }
}

/// Returns the results of the first write, if the events at the place have the ids of the events of the write.
///
/// # Errors
/// Returns the error of the store.
pub async fn find(
    store: &dyn Store,
    write: &EventWrite,
    place: Option<RepeatPlace>,
) -> Result<Option<Vec<Written>>, StoreError> {
    let (index, stored) = match place {
        Some(RepeatPlace::Position { index, position }) => {
            let before = position.get().saturating_sub(1);
            let read = Read::all(Query::all()).after(before).limit(1);
            (index, store.read(read).await)
        }
        Some(RepeatPlace::Version { stream, version }) => {
            let before = version.get().saturating_sub(1);
            let stream = &write.streams()[stream];
            let index = stream.events.map_or(0, |(first, _)| first);
            let read = Read::stream(stream.stream.clone()).after(before);
            (index, store.read(read.limit(1)).await)
        }
        None => return Ok(None),
    };
    let stored = match stored {
        Ok(page) => page.events.into_iter().next(),
        // The caller may append and not read, and gets the conflict.
        Err(StoreError::Denied(_)) => None,
        Err(error) => return Err(error),
    };
    let Some(stored) = stored.filter(|stored| is_stored(write, index, stored)) else {
        return Ok(None);
    };
    compare(store, write, index, &stored).await
}

/// Returns whether `stored` is the event of the write with this index.
fn is_stored(write: &EventWrite, index: usize, stored: &RecordedEvent) -> bool {
    write.events().get(index).is_some_and(|event| {
        event.event.id == client_id(stored) && write.streams()[event.stream].stream == stored.stream
    })
}

/// Compares the events of the write with the stored ones, of which `stored` has the index `index`.
///
/// Several writes may have stored the events of the only stream. The events of several streams are together in the log.
async fn compare(
    store: &dyn Store,
    write: &EventWrite,
    index: usize,
    stored: &RecordedEvent,
) -> Result<Option<Vec<Written>>, StoreError> {
    let (read, place) = match write.streams() {
        [only] => (Read::stream(only.stream.clone()), stored.version.get()),
        _ => (Read::all(Query::all()), stored.position.get()),
    };
    let Some(after) = place.checked_sub(index as u64 + 1) else {
        return Ok(None);
    };
    let unchanged = Written {
        revision: None,
        position: None,
    };
    let mut results = vec![unchanged; write.streams().len()];
    let is_event = |index: usize, event: &RecordedEvent| {
        results[write.events()[index].stream] = written(event);
        is_stored(write, index, event)
    };
    let count = write.events().len();
    let is_repeated = are_stored(store, read.after(after), count, is_event).await?;
    Ok(is_repeated.then_some(results))
}

fn written(last: &RecordedEvent) -> Written {
    Written {
        revision: Some(revision(last)),
        position: Some(last.position),
    }
}
