//! [`Receipt`]: what became of a command.

use crate::error::StoreError;
use crate::record::{Assigned, RecordedEvent};
use factum_core::append::{Appended, ExpectedVersion, MAX_APPEND, StreamAppend};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;
use factum_core::stream_id::StreamId;

/// What became of a command that was not rejected.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    position: Position,
    versions: Vec<(StreamId, Version)>,
    events: Vec<RecordedEvent>,
    attempts: u32,
    repeated: bool,
}

impl Receipt {
    /// A reader that has come to this position knows everything that the command did. With no events, the
    /// newest event that the command looked at, 0 if there was none; under an idempotency key, or with deadlines, the
    /// newest event of the store.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The version of the command's first stream, behind the command.
    #[must_use]
    pub fn version(&self) -> Version {
        self.versions
            .first()
            .map_or(Version::ZERO, |(_, version)| *version)
    }

    /// The streams that the command looked at, in its order, and their versions behind it.
    #[must_use]
    pub fn versions(&self) -> &[(StreamId, Version)] {
        &self.versions
    }

    /// The events that were stored.
    #[must_use]
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// How often the command was decided; 0 if this is the first answer to the same idempotency key.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The idempotency key was known: this is the first answer, and nothing happened now.
    #[must_use]
    pub fn repeated(&self) -> bool {
        self.repeated
    }

    /// The receipt of an append of `streams`.
    pub fn stored(appended: Appended, streams: Vec<StreamAppend>, attempts: u32) -> Self {
        let mut position = Position::new(appended.position.get() - appended.count);
        let mut events = Vec::with_capacity(appended.count as usize);
        let mut versions = appended.versions;
        for (place, part) in streams.into_iter().enumerate() {
            if part.events.is_empty() {
                // The stream was as expected, and still is.
                let version = match part.expected {
                    ExpectedVersion::Exact(version) => version,
                    _ => Version::ZERO,
                };
                versions.insert(place, (part.stream, version));
                continue;
            }
            if versions.len() == place {
                versions.push((part.stream.clone(), Version::ZERO));
            }
            let last = versions[place].1;
            let mut version = last.get().saturating_sub(part.events.len() as u64);
            for event in part.events {
                version += 1;
                position = position.plus(1);
                let assigned = Assigned {
                    position,
                    version: Version::new(version),
                    recorded_at: appended.recorded_at,
                };
                events.push(RecordedEvent::new(event, part.stream.clone(), assigned));
            }
        }
        Self {
            position: appended.position,
            versions,
            events,
            attempts,
            repeated: false,
        }
    }

    /// The receipt of a decision that nothing needs to happen.
    pub fn nothing(position: Position, versions: Vec<(StreamId, Version)>, attempts: u32) -> Self {
        Self {
            position,
            versions,
            events: Vec::new(),
            attempts,
            repeated: false,
        }
    }

    /// The first receipt again, for a command that looks at `streams`; its events are read from the store.
    pub async fn again(
        store: &dyn Store,
        first: Appended,
        streams: &[StreamId],
    ) -> Result<Self, StoreError> {
        let mut after = Position::new(first.position.get().saturating_sub(first.count));
        let mut events = Vec::with_capacity((first.count as usize).min(MAX_APPEND));
        while after < first.position && first.count > 0 {
            let missing = (first.position.get() - after.get()) as usize;
            let read = Read::all(Query::all()).after(after).limit(missing);
            let page = store.read(read).await.map_err(behind_the_deed)?;
            let Some(last) = page.events.last() else {
                let gap = format!("no event behind position {after}, an append says otherwise");
                return Err(StoreError::Corrupt(gap));
            };
            after = last.position;
            events.extend(page.events);
        }
        let mut versions = Vec::with_capacity(streams.len());
        for stream in streams {
            let written = first.versions.iter().find(|(written, _)| written == stream);
            let version = match written {
                Some((_, version)) => *version,
                None => version_at(store, stream, first.position).await?,
            };
            versions.push((stream.clone(), version));
        }
        Ok(Self {
            position: first.position,
            versions,
            events,
            attempts: 0,
            repeated: true,
        })
    }
}

/// "Nothing was done" holds for the read, and not for the command.
fn behind_the_deed(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(cause) => StoreError::Interrupted(cause),
        other => other,
    }
}

/// The version of `stream` when the event at `position` was the newest of the store.
async fn version_at(
    store: &dyn Store,
    stream: &StreamId,
    position: Position,
) -> Result<Version, StoreError> {
    let read = Read::streams([stream.clone()]).before(position.plus(1));
    let page = store.read(read.limit(1)).await.map_err(behind_the_deed)?;
    Ok(page
        .events
        .first()
        .map_or(Version::ZERO, |event| event.version))
}
