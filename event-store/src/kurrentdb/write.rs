//! [`write()`]: stores the events of one or several streams by the rules of KurrentDB.
//!
//! A repeated write is answered as the first time: if the events that the stream must have after a write are stored at that
//! place, with the same ids, nothing is stored. Ids need not be unique in the store: an event whose id another event has is
//! stored under another id, and clients of this protocol still see the id that they chose.

use std::collections::{HashMap, HashSet};

use factum::Position;
use factum::store::{
    Append, AppendError, AppendEvent, Appended, Conflict, ExpectedVersion, MAX_APPEND_STREAMS,
    Revision, Store, StreamId, Version, Violation, new_event_id,
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
use super::stream_write::{EventWrite, StreamWrite, Written};

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
pub async fn write(store: &dyn Store, write: &EventWrite) -> Result<Vec<Written>, Refused> {
    let mut ids = Ids::Client;
    let mut metadata_versions = HashMap::new();
    for _ in 0..MAX_ATTEMPTS {
        let mut plan = Plan::new(store, write, ids, &metadata_versions).await?;
        let error = match store.append(std::mem::take(&mut plan.append)).await {
            Ok(appended) => return results(store, write, &appended).await,
            Err(error) => error,
        };
        match error {
            AppendError::EventIdReused { id, position } => {
                let place = RepeatPlace::of_id(write, &plan.ids, id, position);
                if let Some(written) = repeated::find(store, write, place).await? {
                    return Ok(written);
                }
                ids = if ids == Ids::Client {
                    Ids::Stream
                } else {
                    Ids::New
                };
            }
            AppendError::Conflict(conflict) => {
                metadata_versions.extend(unexpected_metadata(write, &conflict));
                let Some(refused) = violated_version(write, &conflict) else {
                    continue;
                };
                let place = RepeatPlace::of_expected(write);
                if let Some(written) = repeated::find(store, write, place).await? {
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
fn violated_version(write: &EventWrite, conflict: &Conflict) -> Option<Refused> {
    let mut violations = conflict.violations.iter();
    violations.find_map(|violation| match violation {
        Violation::Version { stream, actual, .. } => Some(Refused::WrongExpectedVersion {
            stream: stream.to_string(),
            expected: write.streams()[write.index_of(stream)?].expected,
            actual: actual.get().checked_sub(1),
        }),
        _ => None,
    })
}

/// Returns the versions of metadata streams that have other versions than expected.
///
/// Settings that are read after the conflict are those of such a version or newer.
fn unexpected_metadata(
    write: &EventWrite,
    conflict: &Conflict,
) -> impl Iterator<Item = (StreamId, Version)> {
    let violations = conflict.violations.iter();
    violations.filter_map(|violation| match violation {
        Violation::Version { stream, actual, .. } => match write.index_of(stream) {
            Some(_) => None,
            None => Some((stream.clone(), *actual)),
        },
        _ => None,
    })
}

/// Returns the results of an append that begins with the events of the write.
async fn results(
    store: &dyn Store,
    write: &EventWrite,
    appended: &Appended,
) -> Result<Vec<Written>, Refused> {
    let before = appended.position.get() - appended.count;
    let versions = appended.versions.iter();
    let versions: HashMap<_, _> = versions
        .map(|(stream, version)| (stream, version))
        .collect();
    let mut results = Vec::with_capacity(write.streams().len());
    for stream in write.streams() {
        let version = match versions.get(&stream.stream) {
            Some(version) => **version,
            None if write.events().is_empty() => metadata::version(store, &stream.stream).await?,
            None => Version::ZERO,
        };
        let position = |(_, last)| Position::new(before + last as u64 + 1);
        results.push(Written {
            revision: version.get().checked_sub(1),
            position: stream.events.map(position),
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
    async fn new(
        store: &dyn Store,
        write: &EventWrite,
        ids: Ids,
        metadata_versions: &HashMap<StreamId, Version>,
    ) -> Result<Self, Refused> {
        let streams = write.streams().iter();
        let names = streams.clone().map(|write| write.stream.as_str());
        let targets = streams.filter_map(|write| stream_of_metadata(&write.stream));
        let names: HashSet<&str> = names.chain(targets).collect();
        let mut found = metadata::load(store, names.iter().copied()).await?;
        let settings = names.into_iter().map(|name| {
            let stored = found.remove(name).unwrap_or_default();
            (name.to_owned(), stored)
        });
        let mut plan = Self {
            append: Append::default(),
            ids: Vec::new(),
            settings: settings.collect(),
        };
        let mut restored = Vec::new();
        for stream in write.streams() {
            let (expected, deleted_at) = plan.expected(store, stream).await?;
            let append = std::mem::take(&mut plan.append);
            plan.append = append.and_stream(stream.stream.clone(), expected, Vec::new());
            if let Some(version) = deleted_at.filter(|_| stream.events.is_some()) {
                restored.push((stream.stream.clone(), version));
            }
        }
        plan.add_events(write, ids);
        for stream in write.streams() {
            if let Some((_, last)) = stream.events {
                let data = &write.events()[last].event.data;
                plan.change_metadata(store, &stream.stream, data).await?;
            }
        }
        for (stream, version) in restored {
            plan.restore(&stream, version)?;
        }
        plan.require_settings(metadata_versions);
        Ok(plan)
    }

    /// Adds the events with the ids under which they are stored.
    fn add_events(&mut self, write: &EventWrite, ids: Ids) {
        let mut used = HashSet::new();
        for event in write.events() {
            let (stream, mut event) = (event.stream, event.event.clone());
            let id = match ids {
                Ids::Client => event.id,
                Ids::Stream => {
                    let name = write.streams()[stream].stream.as_str();
                    Uuid::new_v5(&event.id, name.as_bytes())
                }
                Ids::New => new_event_id(),
            };
            let id = if used.insert(id) { id } else { new_event_id() };
            if id != event.id {
                rename(&mut event, id);
            }
            self.ids.push(id);
            self.append.events.push(AppendEvent { stream, event });
        }
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

    /// Adds the change of the settings that a write to a metadata stream makes. `data` is that of its last event.
    async fn change_metadata(
        &mut self,
        store: &dyn Store,
        stream: &StreamId,
        data: &[u8],
    ) -> Result<(), Refused> {
        let Some(name) = stream_of_metadata(stream) else {
            return Ok(());
        };
        let version = match name.parse() {
            Ok(stream) => metadata::version(store, &stream).await?,
            Err(_) => Version::ZERO,
        };
        let stored = self.settings.remove(name).unwrap_or_default();
        let changed = stored.settings.with_metadata(data, version).encode()?;
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
        if let Ok(metadata_stream) = metadata_stream(stream.as_str()).parse() {
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

    /// Requires that all settings are as they were read, except those that the append changes.
    ///
    /// The first change of the settings of a stream is an event in its metadata stream. Most streams have no settings, and
    /// stores check the version of a stream faster than the absence of a document.
    fn require_settings(&mut self, metadata_versions: &HashMap<StreamId, Version>) {
        for (name, stored) in std::mem::take(&mut self.settings) {
            let changes = std::mem::take(&mut self.append.changes);
            self.append.changes = if stored.revision != Revision::ABSENT {
                changes.require(document_key(&name), stored.revision)
            } else if let Some(stream) = self.unused_metadata_stream(&name) {
                let expected = match metadata_versions.get(&stream) {
                    Some(version) => ExpectedVersion::Exact(*version),
                    None => ExpectedVersion::NoStream,
                };
                let append = std::mem::take(&mut self.append);
                self.append = append.and_stream(stream, expected, Vec::new());
                changes
            } else {
                // A document that does not exist cannot be kept.
                changes.delete_if(document_key(&name), Revision::ABSENT)
            };
            self.settings.insert(name, stored);
        }
    }

    /// Returns the metadata stream of the stream `name`, if the append can have it as another stream.
    fn unused_metadata_stream(&self, name: &str) -> Option<StreamId> {
        let streams = &self.append.streams;
        let stream: StreamId = metadata_stream(name).parse().ok()?;
        let is_unused =
            streams.len() < MAX_APPEND_STREAMS && streams.iter().all(|part| part.stream != stream);
        is_unused.then_some(stream)
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
