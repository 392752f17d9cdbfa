//! [`Receipt`]: the result of an executed command.

use factum_core::append::{Append, AppendEvent, Appended, ExpectedVersion, MAX_APPEND};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;

use crate::domain::error::StoreError;
use crate::domain::record::RecordedEvent;

/// The result of an executed command.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    position: Position,
    versions: Vec<(StreamId, Version)>,
    events: Vec<RecordedEvent>,
    attempts: u32,
    repeated: bool,
}

impl Receipt {
    /// Returns the position that a reader must reach to see all effects of the command.
    ///
    /// Without events, that is the position of the last event that the decision depends on, or 0 if there is none. With
    /// an idempotency key or deadlines, but without events, it is the head of the store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the version of the command's first stream after the command.
    #[must_use]
    pub fn version(&self) -> Version {
        self.versions
            .first()
            .map_or(Version::ZERO, |(_, version)| *version)
    }

    /// Returns the streams of the command, in its order, with their versions after the command.
    ///
    /// If the result is repeated, the streams that the command [found](crate::command::Find) are only those with events.
    #[must_use]
    pub fn versions(&self) -> &[(StreamId, Version)] {
        &self.versions
    }

    /// Returns the stored events.
    #[must_use]
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// Returns the number of times that the command was decided; 0 for a repeated result.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns whether this is the first result of the same idempotency key. Nothing was stored now.
    #[must_use]
    pub fn repeated(&self) -> bool {
        self.repeated
    }

    /// Creates the receipt of `append`.
    pub(crate) fn appended(appended: &Appended, append: Append, attempts: u32) -> Self {
        let assigned = append.assigned(appended);
        let versions = append.streams.iter().map(|part| {
            // The append has checked that a stream without events is still at the expected version.
            let version = match part.expected {
                ExpectedVersion::Exact(version) => version,
                _ => Version::ZERO,
            };
            (part.stream.clone(), version)
        });
        let mut versions: Vec<_> = versions.collect();
        let events = append.events.into_iter().zip(assigned);
        let events = events.map(|(AppendEvent { stream, event }, assigned)| {
            let (stream, version) = &mut versions[stream];
            *version = assigned.version;
            RecordedEvent::new(event, stream.clone(), assigned)
        });
        let events = events.collect();
        Self {
            position: appended.position,
            versions,
            events,
            attempts,
            repeated: false,
        }
    }

    /// Creates the receipt of a decision that stored nothing.
    pub(crate) fn unchanged(
        position: Position,
        versions: Vec<(StreamId, Version)>,
        attempts: u32,
    ) -> Self {
        Self {
            position,
            versions,
            events: Vec::new(),
            attempts,
            repeated: false,
        }
    }

    /// Creates the receipt of a repeated command on `streams` from its first result, and reads its events.
    pub(crate) async fn repeat(
        store: &dyn Store,
        first: Appended,
        streams: &[StreamId],
    ) -> Result<Self, StoreError> {
        let mut after = Position::new(first.position.get().saturating_sub(first.count));
        let mut events = Vec::with_capacity((first.count as usize).min(MAX_APPEND));
        while after < first.position && first.count > 0 {
            let missing = (first.position.get() - after.get()) as usize;
            let read = Read::all(Query::all()).after(after).limit(missing);
            let page = store.read(read).await.map_err(as_interrupted)?;
            let Some(last) = page.events.last() else {
                return Err(StoreError::Corrupt(format!(
                    "no event after position {after}, although an append stored events up to position {}",
                    first.position
                )));
            };
            after = last.position;
            events.extend(page.events);
        }
        let mut versions = Vec::with_capacity(streams.len());
        for stream in streams {
            let stored = first.versions.iter().find(|(stored, _)| stored == stream);
            let version = match stored {
                Some((_, version)) => *version,
                None => version_at(store, stream, first.position).await?,
            };
            versions.push((stream.clone(), version));
        }
        // The streams that the command found. Those without events are not known any more.
        let found = first.versions.into_iter();
        versions.extend(found.filter(|(stream, _)| !streams.contains(stream)));
        Ok(Self {
            position: first.position,
            versions,
            events,
            attempts: 0,
            repeated: true,
        })
    }
}

/// Maps `Unavailable` to `Interrupted`: the read did nothing, but the command was executed.
fn as_interrupted(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(cause) => StoreError::Interrupted(cause),
        other => other,
    }
}

/// Returns the version of `stream` when the event at `position` was the last event of the store.
async fn version_at(
    store: &dyn Store,
    stream: &StreamId,
    position: Position,
) -> Result<Version, StoreError> {
    let read = Read::streams([stream.clone()]).before(position.plus(1));
    let page = store.read(read.limit(1)).await.map_err(as_interrupted)?;
    Ok(page
        .events
        .first()
        .map_or(Version::ZERO, |event| event.version))
}
