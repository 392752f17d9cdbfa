//! The results of reading specifications.

use factum::store::RecordedEvent;
use factum::{Recorded, Timestamp};

use crate::access::domain::NamespaceId;
use crate::content::Content;
use crate::specs::domain::{SpecEvent, SpecId, SpecName, SpecState};

/// A specification, with one version of its content.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecView {
    /// The id.
    pub id: SpecId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The name.
    pub name: SpecName,
    /// The purpose of the specification, in `version`.
    pub description: Option<String>,
    /// The content of `version`.
    pub content: Content,
    /// The version of `content`.
    pub version: u64,
    /// The latest version.
    pub latest_version: u64,
    /// The version that was published last, if any.
    pub published_version: Option<u64>,
    /// The current lifecycle state.
    pub state: SpecState,
    /// The time of the creation.
    pub created_at: Timestamp,
    /// The actor of the creation.
    pub created_by: String,
    /// The time of the last change of the state or of `version`. Later versions do not count.
    pub updated_at: Timestamp,
    /// The actor of that change.
    pub updated_by: String,
    /// The number of changes.
    pub revision: u64,
}

/// One version of the content.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecVersion {
    /// The number of the version, from 1.
    pub version: u64,
    /// The text.
    pub content: Content,
    /// The purpose of the specification from this version on.
    pub description: Option<String>,
    /// The time at which the version was added.
    pub created_at: Timestamp,
    /// The actor who added the version.
    pub created_by: String,
}

impl SpecVersion {
    /// Returns the version that `event` added, or `None` if it added none.
    #[must_use]
    pub fn of(version: u64, event: Recorded<SpecEvent>) -> Option<Self> {
        let created_by = actor(&event.record);
        let (SpecEvent::Created {
            description,
            content,
            ..
        }
        | SpecEvent::Updated {
            description,
            content,
            ..
        }) = event.event
        else {
            return None;
        };
        Some(Self {
            version,
            content,
            description,
            created_at: event.record.recorded_at,
            created_by,
        })
    }
}

/// A change of a specification.
#[derive(Debug, Clone)]
pub struct Change {
    /// The id of the specification.
    pub id: SpecId,
    /// The event with its record: position, version, time and metadata.
    pub event: Recorded<SpecEvent>,
}

impl Change {
    /// Returns the actor.
    #[must_use]
    pub fn actor(&self) -> String {
        actor(&self.event.record)
    }

    /// Returns the reason, if one was recorded.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.event.record.metadata.reason.as_deref()
    }

    /// Returns the event data as JSON text.
    #[must_use]
    pub fn payload(&self) -> String {
        String::from_utf8_lossy(&self.event.record.data).into_owned()
    }
}

/// Returns the actor of an event, or an empty text if it has none.
pub fn actor(record: &RecordedEvent) -> String {
    record.metadata.actor.clone().unwrap_or_default()
}
