//! [`StreamSettings`]: the settings of a stream, which clients write as events of its metadata stream.
//!
//! A write of metadata is an event in the stream `$$NAME`. In the same append, a document of the stream changes, so that reads
//! and appends find the settings with one lookup. They are filters: nothing in the log is erased.

use std::collections::HashMap;
use std::time::Duration;

use factum::Timestamp;
use factum::store::{
    Document, Read, RecordedEvent, Revision, Store, StoreError, StreamId, Version, encode_document,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::{stream_document, stream_of_document};

/// The prefix of the name of a metadata stream.
const METADATA_STREAM: &str = "$$";

/// The kind of the documents of streams.
const SETTINGS: &str = "settings";

/// The revision before which a deleted stream is truncated.
const DELETED: u64 = i64::MAX as u64;

const TRUNCATE_BEFORE: &str = "$tb";
const MAX_COUNT: &str = "$maxCount";
const MAX_AGE: &str = "$maxAge";

/// The type of an event with metadata.
pub const METADATA_EVENT: &str = "$metadata";

/// The type of the last event of a stream with a tombstone.
pub const TOMBSTONE_EVENT: &str = "$streamDeleted";

/// The settings of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamSettings {
    /// The metadata as the client wrote it.
    pub metadata: Map<String, Value>,
    /// The version of the stream when it was deleted; its events up to this version are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Version>,
    /// Set if the stream has a tombstone.
    #[serde(default)]
    pub has_tombstone: bool,
}

/// The settings of a stream, and the revision of their document.
#[derive(Debug, Clone)]
pub struct StoredSettings {
    /// The settings.
    pub settings: StreamSettings,
    /// The revision of the document; [`Revision::ABSENT`] if it does not exist.
    pub revision: Revision,
}

impl Default for StoredSettings {
    fn default() -> Self {
        Self {
            settings: StreamSettings::default(),
            revision: Revision::ABSENT,
        }
    }
}

/// Returns the key of the document of a stream.
#[must_use]
pub fn document_key(stream: &str) -> String {
    stream_document(SETTINGS, stream)
}

/// Returns the name of the metadata stream of `stream`.
#[must_use]
pub fn metadata_stream(stream: &str) -> String {
    format!("{METADATA_STREAM}{stream}")
}

/// Returns the name of the stream whose metadata are in `stream`.
#[must_use]
pub fn stream_of_metadata(stream: &StreamId) -> Option<&str> {
    let name = stream.as_str().strip_prefix(METADATA_STREAM)?;
    (!name.is_empty()).then_some(name)
}

/// Loads the settings of streams.
///
/// # Errors
/// Returns the error of the store.
pub async fn load(
    store: &dyn Store,
    streams: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, StoredSettings>, StoreError> {
    let keys: Vec<String> = streams.into_iter().map(document_key).collect();
    let found = store.find_documents(&keys).await?;
    let settings = found.iter().map(|document| {
        let name = stream_of_document(&document.key).unwrap_or_default();
        Ok((name.to_owned(), stored(document)?))
    });
    settings.collect()
}

/// Loads the settings of one stream.
///
/// # Errors
/// Returns the error of the store.
pub async fn load_one(store: &dyn Store, stream: &str) -> Result<StoredSettings, StoreError> {
    let mut found = load(store, [stream]).await?;
    Ok(found.remove(stream).unwrap_or_default())
}

/// Loads the settings by which a stream is read. The metadata of a stream with a tombstone have ended with it.
///
/// # Errors
/// Returns the error of the store.
pub async fn load_for_read(
    store: &dyn Store,
    stream: &StreamId,
) -> Result<StreamSettings, StoreError> {
    let mut settings = load_one(store, stream.as_str()).await?.settings;
    if let Some(target) = stream_of_metadata(stream) {
        settings.has_tombstone |= match load_one(store, target).await {
            Ok(target) => target.settings.has_tombstone,
            // The caller may read the metadata only.
            Err(StoreError::Denied(_)) => false,
            Err(error) => return Err(error),
        };
    }
    Ok(settings)
}

fn stored(document: &Document) -> Result<StoredSettings, StoreError> {
    Ok(StoredSettings {
        settings: document.decode()?,
        revision: document.revision,
    })
}

/// Returns the last event of a stream.
///
/// # Errors
/// Returns the error of the store.
pub async fn last_event(
    store: &dyn Store,
    stream: &StreamId,
) -> Result<Option<RecordedEvent>, StoreError> {
    let newest = Read::stream(stream.clone()).backward().limit(1);
    Ok(store.read(newest).await?.events.pop())
}

/// Returns the version of a stream.
///
/// # Errors
/// Returns the error of the store.
pub async fn version(store: &dyn Store, stream: &StreamId) -> Result<Version, StoreError> {
    let last = last_event(store, stream).await?;
    Ok(last.map_or(Version::ZERO, |last| last.version))
}

impl StreamSettings {
    /// Encodes the document.
    ///
    /// # Errors
    /// Returns [`StoreError::Failed`] if the metadata are nested too deeply.
    pub fn encode(&self) -> Result<String, StoreError> {
        encode_document(self)
    }

    /// Returns the settings after a write of metadata. `version` is that of the stream.
    ///
    /// Data other than a JSON object sets no metadata.
    #[must_use]
    pub fn with_metadata(&self, data: &[u8], version: Version) -> Self {
        let metadata: Map<String, Value> = serde_json::from_slice(data).unwrap_or_default();
        let is_deleted = metadata.get(TRUNCATE_BEFORE).and_then(Value::as_u64) == Some(DELETED);
        Self {
            metadata,
            deleted_at: is_deleted.then_some(version),
            ..*self
        }
    }

    /// Returns the settings after a deletion of the stream at `version`.
    #[must_use]
    pub fn deleted(mut self, version: Version) -> Self {
        self.metadata
            .insert(TRUNCATE_BEFORE.to_owned(), DELETED.into());
        self.deleted_at = Some(version);
        self
    }

    /// Returns the settings after an append to the stream that was deleted at `version`.
    #[must_use]
    pub fn restored(mut self, version: Version) -> Self {
        self.metadata
            .insert(TRUNCATE_BEFORE.to_owned(), version.get().into());
        self.deleted_at = None;
        self
    }

    /// Returns whether the stream is deleted. `version` is its version.
    #[must_use]
    pub fn is_deleted(&self, version: Version) -> bool {
        self.deleted_at
            .is_some_and(|deleted_at| deleted_at >= version)
    }

    /// Returns the events that are visible. `version` is the version of the stream `stream`.
    #[must_use]
    pub fn visible(&self, stream: &StreamId, version: Version, now: Timestamp) -> VisibleEvents {
        let number = |name| self.metadata.get(name).and_then(Value::as_u64);
        let truncated = match self.deleted_at {
            Some(deleted_at) => deleted_at.get(),
            None => number(TRUNCATE_BEFORE).unwrap_or(0),
        };
        // Only the newest metadata count.
        let default = stream_of_metadata(stream).map(|_| 1);
        let max_count = number(MAX_COUNT).filter(|count| *count > 0).or(default);
        let beyond_count = max_count.map_or(0, |count| version.get().saturating_sub(count));
        let max_age = number(MAX_AGE).filter(|seconds| *seconds > 0);
        VisibleEvents {
            after: Version::new(truncated.max(beyond_count)),
            since: max_age.map(|seconds| before(now, Duration::from_secs(seconds))),
        }
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(age))
}

/// The events of a stream that are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleEvents {
    /// Events up to this version are hidden.
    pub after: Version,
    /// Events that were stored before this time are hidden.
    pub since: Option<Timestamp>,
}

impl VisibleEvents {
    /// Returns whether an event is visible.
    #[must_use]
    pub fn contains(&self, event: &RecordedEvent) -> bool {
        event.version > self.after && self.since.is_none_or(|since| event.recorded_at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(metadata: &str) -> StreamSettings {
        StreamSettings::default().with_metadata(metadata.as_bytes(), Version::new(5))
    }

    fn visible(settings: &StreamSettings, stream: &str) -> VisibleEvents {
        let now = Timestamp::from_micros(60_000_000);
        settings.visible(&stream.parse().unwrap(), Version::new(5), now)
    }

    #[test]
    fn settings_hide_the_oldest_events() {
        for (metadata, after) in [
            ("{}", 0),
            ("[]", 0),
            (r#"{"$tb":2}"#, 2),
            (r#"{"$maxCount":1}"#, 4),
            (r#"{"$maxCount":9,"$tb":1}"#, 1),
            (r#"{"$tb":9223372036854775807}"#, 5),
        ] {
            let visible = visible(&settings(metadata), "hive-1");
            assert_eq!(visible.after, Version::new(after), "{metadata}");
        }
        let aged = visible(&settings(r#"{"$maxAge":10}"#), "hive-1");
        assert_eq!(aged.since, Some(Timestamp::from_micros(50_000_000)));
        assert_eq!(visible(&settings("{}"), "$$hive-1").after, Version::new(4));
    }

    #[test]
    fn deleted_stream_exists_again_after_an_append() {
        let deleted = settings(r#"{"owner":"ada"}"#).deleted(Version::new(5));
        assert!(deleted.is_deleted(Version::new(5)) && !deleted.is_deleted(Version::new(6)));
        let restored = deleted.restored(Version::new(5));
        assert!(!restored.is_deleted(Version::new(5)));
        assert_eq!(restored.metadata["$tb"], 5);
        assert_eq!(restored.metadata["owner"], "ada");
    }
}
