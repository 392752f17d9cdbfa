//! Deletion of streams, which hides their events, and tombstones, which end streams.

use factum::Position;
use factum::store::{Append, AppendError, ExpectedVersion, Revision, Store, StreamId, Version};
use serde_json::{Value, json};

use super::errors::Refused;
use super::event::system_event;
use super::expected::ExpectedState;
use super::metadata::{
    self, METADATA_EVENT, StoredSettings, StreamSettings, TOMBSTONE_EVENT, document_key,
    metadata_stream,
};
use super::write::MAX_ATTEMPTS;

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRemoval {
    /// The events are hidden. An append continues the revisions.
    Delete,
    /// The stream refuses all later appends.
    Tombstone,
}

impl StreamRemoval {
    /// Returns the name of the operation in messages.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Delete => "Delete stream",
            Self::Tombstone => "Tombstone stream",
        }
    }
}

/// Deletes a stream or ends it, and returns the position of the event that records this.
///
/// # Errors
/// Returns [`Refused`] if the stream is not in the expected state, or the store fails.
pub async fn remove(
    store: &dyn Store,
    stream: &StreamId,
    expected: ExpectedState,
    removal: StreamRemoval,
) -> Result<Position, Refused> {
    for _ in 0..MAX_ATTEMPTS {
        let stored = metadata::load_one(store, stream.as_str()).await?;
        let version = metadata::version(store, stream).await?;
        check(stream, &stored, version, expected, removal)?;
        let append = append(stream, stored, version, removal)?;
        match store.append(append).await {
            Ok(appended) => return Ok(appended.position),
            // The stream or its settings have changed since they were read.
            Err(AppendError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refused::Contended)
}

fn check(
    stream: &StreamId,
    stored: &StoredSettings,
    version: Version,
    expected: ExpectedState,
    removal: StreamRemoval,
) -> Result<(), Refused> {
    let deleted = |has_tombstone| {
        let stream = stream.to_string();
        Refused::StreamDeleted {
            stream,
            has_tombstone,
        }
    };
    if stored.settings.has_tombstone {
        return Err(deleted(true));
    }
    let actual = version.get().checked_sub(1);
    let is_deleted = actual.is_some() && stored.settings.is_deleted(version);
    let has_metadata = stored.settings != StreamSettings::default();
    let is_expected = match (expected, actual) {
        (ExpectedState::Exists, Some(_)) if is_deleted => return Err(deleted(false)),
        (ExpectedState::Any | ExpectedState::NoStream, None) => {
            removal == StreamRemoval::Tombstone || has_metadata
        }
        (ExpectedState::Any | ExpectedState::Exists, Some(_)) => true,
        (ExpectedState::NoStream, Some(_)) => is_deleted,
        (ExpectedState::Exists, None) => false,
        (ExpectedState::Revision(revision), actual) => actual == Some(revision),
    };
    match is_expected {
        true => Ok(()),
        false => Err(Refused::WrongExpectedVersion {
            stream: stream.to_string(),
            expected,
            actual,
        }),
    }
}

fn append(
    stream: &StreamId,
    stored: StoredSettings,
    version: Version,
    removal: StreamRemoval,
) -> Result<Append, Refused> {
    let unchanged = match version {
        Version::ZERO => ExpectedVersion::NoStream,
        version => ExpectedVersion::Exact(version),
    };
    let (append, settings) = match removal {
        StreamRemoval::Delete => {
            let settings = stored.settings.deleted(version);
            let event = system_event(METADATA_EVENT, &Value::Object(settings.metadata.clone()));
            let metadata_stream = super::event::stream_named(&metadata_stream(stream.as_str()))?;
            let append = Append::stream(stream.clone(), unchanged, Vec::new());
            (
                append.and_stream(metadata_stream, ExpectedVersion::Any, vec![event]),
                settings,
            )
        }
        StreamRemoval::Tombstone => {
            let settings = StreamSettings {
                has_tombstone: true,
                ..stored.settings
            };
            let mut append = Append::stream(stream.clone(), unchanged, Vec::new());
            // Appends that have read no settings depend on the version of the metadata stream.
            if stored.revision == Revision::ABSENT
                && let Ok(metadata_stream) = metadata_stream(stream.as_str()).parse()
            {
                let event = system_event(METADATA_EVENT, &json!({}));
                append = append.and_stream(metadata_stream, ExpectedVersion::Any, vec![event]);
            }
            let event = system_event(TOMBSTONE_EVENT, &json!({}));
            (append.and_event(0, event), settings)
        }
    };
    let mut append = append;
    append.changes = append.changes.put_if(
        document_key(stream.as_str()),
        stored.revision,
        settings.encode()?,
    );
    Ok(append)
}
