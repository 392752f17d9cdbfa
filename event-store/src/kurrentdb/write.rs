//! [`write()`]: stores the events of one or several streams by the rules of KurrentDB.
//!
//! A repeated write is answered as the first time: if the events that the stream must have after a write are stored at that
//! place, with the same ids, nothing is stored. Ids need not be unique in the store: an event whose id another event has is
//! stored under another id, and clients of this protocol still see the id that they chose.

use std::collections::{HashMap, HashSet};

use factum::Position;
use factum::store::{
    Append, AppendError, Conflict, ExpectedVersion, NewEvent, Revision, Store, StreamId, Version,
    Violation, new_event_id,
};
use serde_json::Value;
use uuid::Uuid;

use super::errors::Refused;
use super::event::{rename, system_event};
use super::expected::ExpectedState;
use super::metadata::{
    self, METADATA_EVENT, StoredSettings, document_key, metadata_stream, stream_of_metadata,
};
use super::repeated::{self, RepeatPlace};
use super::stream_write::{StreamWrite, Written};

/// The number of attempts if other requests change the same streams.
pub const MAX_ATTEMPTS: usize = 10;

/// The ids under which events are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// The ids that the client chose.
    Client,
    /// An id for each id of the client and each stream.
    Stream,
    /// New ids.
    New,
}

/// Stores all events or none, and returns a result for each stream.
///
/// # Errors
/// Returns [`Refused`] if a stream is not in the expected state, or the store fails.
pub async fn write(store: &dyn Store, writes: &[StreamWrite]) -> Result<Vec<Written>, Refused> {
    let mut ids = Ids::Client;
    for _ in 0..MAX_ATTEMPTS {
        let mut plan = Plan::new(store, writes, ids).await?;
        let error = match store.append(std::mem::take(&mut plan.append)).await {
            Ok(appended) => {
                let first = appended.position.get() - appended.count;
                return results(store, writes, &appended.versions, first).await;
            }
            Err(error) => error,
        };
        match error {
            AppendError::EventIdReused { id, position } => {
                let place = RepeatPlace::of_id(writes, &plan.ids, id, position);
                if let Some(written) = repeated::find(store, writes, place).await? {
                    return Ok(written);
                }
                ids = if ids == Ids::Client {
                    Ids::Stream
                } else {
                    Ids::New
                };
            }
            AppendError::Conflict(conflict) => {
                let Some(refused) = violated_version(writes, &conflict) else {
                    continue;
                };
                if let Some(place) = RepeatPlace::of_expected(writes)
                    && let Some(written) = repeated::find(store, writes, Some(place)).await?
                {
                    return Ok(written);
                }
                // The stream may have been deleted since its settings were read.
                if plan.settings_are_current(store).await? {
                    return Err(refused);
                }
            }
            error => return Err(error.into()),
        }
    }
    Err(Refused::Contended)
}

/// Returns the error of the first stream that is at another version; `None` if only documents have changed.
fn violated_version(writes: &[StreamWrite], conflict: &Conflict) -> Option<Refused> {
    conflict
        .violations
        .iter()
        .find_map(|violation| match violation {
            Violation::Version { stream, actual, .. } => {
                let write = writes.iter().find(|write| write.stream == *stream)?;
                Some(Refused::WrongExpectedVersion {
                    stream: stream.to_string(),
                    expected: write.expected,
                    actual: actual.get().checked_sub(1),
                })
            }
            _ => None,
        })
}

/// Returns the results of an append whose events are at the positions after `first`.
async fn results(
    store: &dyn Store,
    writes: &[StreamWrite],
    versions: &[(StreamId, Version)],
    first: u64,
) -> Result<Vec<Written>, Refused> {
    let mut position = first;
    let mut results = Vec::new();
    for write in writes {
        let version = match versions.iter().find(|(stream, _)| *stream == write.stream) {
            Some((_, version)) => *version,
            None => metadata::version(store, &write.stream).await?,
        };
        position += write.events.len() as u64;
        results.push(Written {
            revision: version.get().checked_sub(1),
            position: (!write.events.is_empty()).then(|| Position::new(position)),
        });
    }
    Ok(results)
}

/// An append, and the settings of the streams on which it depends.
struct Plan {
    append: Append,
    /// The ids under which the events are stored, in their order.
    ids: Vec<Uuid>,
    settings: HashMap<String, StoredSettings>,
}

impl Plan {
    async fn new(store: &dyn Store, writes: &[StreamWrite], ids: Ids) -> Result<Self, Refused> {
        let names = writes.iter().map(|write| write.stream.as_str());
        let targets = writes
            .iter()
            .filter_map(|write| stream_of_metadata(&write.stream));
        let names: HashSet<&str> = names.chain(targets).collect();
        let settings = metadata::load(store, names.iter().copied()).await?;
        let mut plan = Self {
            append: Append::default(),
            ids: Vec::new(),
            settings: names
                .into_iter()
                .map(|name| {
                    (
                        name.to_owned(),
                        settings.get(name).cloned().unwrap_or_default(),
                    )
                })
                .collect(),
        };
        let mut used = HashSet::new();
        let mut restored = Vec::new();
        for write in writes {
            let (expected, deleted_at) = plan.expected(store, write).await?;
            let events = named(write, ids, &mut used);
            plan.ids.extend(events.iter().map(|event| event.id));
            plan.append = plan
                .append
                .and_stream(write.stream.clone(), expected, events);
            if let Some(version) = deleted_at.filter(|_| !write.events.is_empty()) {
                restored.push((write.stream.clone(), version));
            }
        }
        for write in writes {
            plan.change_metadata(store, write).await?;
        }
        for (stream, version) in restored {
            plan.restore(&stream, version)?;
        }
        plan.require_settings();
        Ok(plan)
    }

    /// Returns the version that the stream must have, and the version at which it was deleted if it is deleted.
    async fn expected(
        &self,
        store: &dyn Store,
        write: &StreamWrite,
    ) -> Result<(ExpectedVersion, Option<Version>), Refused> {
        let stream = &write.stream;
        let of = |name: &str| self.settings.get(name).map(|stored| &stored.settings);
        let refused = |has_tombstone| {
            let stream = stream.to_string();
            Refused::StreamDeleted {
                stream,
                has_tombstone,
            }
        };
        let has_tombstone = |name: &str| of(name).is_some_and(|settings| settings.has_tombstone);
        if has_tombstone(stream.as_str()) || stream_of_metadata(stream).is_some_and(has_tombstone) {
            return Err(refused(true));
        }
        let deleted_at = of(stream.as_str()).and_then(|settings| settings.deleted_at);
        let deleted_at = match deleted_at {
            Some(version) if metadata::version(store, stream).await? == version => Some(version),
            _ => None,
        };
        let expected = match (write.expected, deleted_at) {
            (ExpectedState::Any, _) => ExpectedVersion::Any,
            (ExpectedState::NoStream, Some(version)) if version > Version::ZERO => {
                ExpectedVersion::Exact(version)
            }
            (ExpectedState::NoStream, _) => ExpectedVersion::NoStream,
            (ExpectedState::Exists, Some(_)) => return Err(refused(false)),
            (ExpectedState::Exists, None) => ExpectedVersion::StreamExists,
            (ExpectedState::Revision(revision), _) => {
                ExpectedVersion::Exact(Version::new(revision.saturating_add(1)))
            }
        };
        Ok((expected, deleted_at))
    }

    /// Adds the change of the settings that a write to a metadata stream makes.
    async fn change_metadata(
        &mut self,
        store: &dyn Store,
        write: &StreamWrite,
    ) -> Result<(), Refused> {
        let Some(name) = stream_of_metadata(&write.stream) else {
            return Ok(());
        };
        let Some(last) = write.events.last() else {
            return Ok(());
        };
        let version = match name.parse() {
            Ok(stream) => metadata::version(store, &stream).await?,
            Err(_) => Version::ZERO,
        };
        let stored = self.settings.remove(name).unwrap_or_default();
        let changed = stored
            .settings
            .with_metadata(&last.data, version)
            .encode()?;
        self.put(name, stored.revision, changed);
        Ok(())
    }

    /// Adds the change of the settings that an append to a deleted stream makes.
    fn restore(&mut self, stream: &StreamId, version: Version) -> Result<(), Refused> {
        // Missing if the same write changes the metadata.
        let Some(stored) = self.settings.remove(stream.as_str()) else {
            return Ok(());
        };
        let restored = stored.settings.restored(version);
        if let Ok(metadata_stream) = metadata_stream(stream).parse() {
            let event = system_event(METADATA_EVENT, &Value::Object(restored.metadata.clone()));
            let append = std::mem::take(&mut self.append);
            self.append = append.and_stream(metadata_stream, ExpectedVersion::Any, vec![event]);
        }
        let restored = restored.encode()?;
        self.put(stream.as_str(), stored.revision, restored);
        Ok(())
    }

    fn put(&mut self, name: &str, revision: Revision, value: String) {
        let changes = std::mem::take(&mut self.append.changes);
        self.append.changes = changes.put_if(document_key(name), revision, value);
    }

    /// Requires the revisions that were read of all settings that the append does not change.
    fn require_settings(&mut self) {
        let mut changes = std::mem::take(&mut self.append.changes);
        for (name, stored) in &self.settings {
            if stored.revision != Revision::ABSENT {
                changes = changes.require(document_key(name), stored.revision);
            }
        }
        self.append.changes = changes;
    }

    async fn settings_are_current(&self, store: &dyn Store) -> Result<bool, Refused> {
        let current = metadata::load(store, self.settings.keys().map(String::as_str)).await?;
        let revision = |name| {
            current
                .get(name)
                .map_or(Revision::ABSENT, |stored| stored.revision)
        };
        Ok(self
            .settings
            .iter()
            .all(|(name, stored)| stored.revision == revision(name)))
    }
}

/// Returns the events of a write with the ids under which they are stored.
fn named(write: &StreamWrite, ids: Ids, used: &mut HashSet<Uuid>) -> Vec<NewEvent> {
    let events = write.events.iter().map(|event| {
        let mut event = event.clone();
        let id = match ids {
            Ids::Client => event.id,
            Ids::Stream => Uuid::new_v5(&event.id, write.stream.as_str().as_bytes()),
            Ids::New => new_event_id(),
        };
        let id = if used.insert(id) { id } else { new_event_id() };
        if id != event.id {
            rename(&mut event, id);
        }
        event
    });
    events.collect()
}
