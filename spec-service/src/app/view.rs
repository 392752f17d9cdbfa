//! What the service tells about specifications.

use factum::{Position, ProjectionStatus, Recorded, RecordedEvent, Timestamp};

use crate::domain::{Content, SpecEvent, SpecId, SpecName, SpecState};

/// A specification, with one version of its content.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecView {
    /// Its id.
    pub id: SpecId,
    /// Its name.
    pub name: SpecName,
    /// What it is for.
    pub description: Option<String>,
    /// The content of `version`.
    pub content: Content,
    /// The version of the content given here.
    pub version: u64,
    /// The latest version.
    pub latest_version: u64,
    /// The version in force, or that was when it was deprecated or deleted.
    pub published_version: Option<u64>,
    /// Where it is in its life now.
    pub state: SpecState,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it last changed; for a deleted one: when it was deleted.
    pub updated_at: Timestamp,
    /// Who changed it last; for a deleted one: who deleted it.
    pub updated_by: String,
    /// How many changes it has seen.
    pub revision: u64,
}

/// One version of the content.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The text.
    pub content: Content,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// Something that happened to a specification.
#[derive(Debug, Clone)]
pub struct Change {
    /// To which one.
    pub id: SpecId,
    /// What, with its record: who, when, why, and where it stands.
    pub event: Recorded<SpecEvent>,
}

impl Change {
    /// Who did it.
    #[must_use]
    pub fn actor(&self) -> String {
        actor(&self.event.record)
    }

    /// Why, where that was said.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.event.record.metadata.reason.as_deref()
    }

    /// The facts, as JSON text.
    #[must_use]
    pub fn payload(&self) -> String {
        String::from_utf8_lossy(&self.event.record.data).into_owned()
    }
}

/// How the service stands.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether the store takes writes; the error if not.
    pub store: Result<(), String>,
    /// The newest event of the store.
    pub head: Position,
    /// How the read models stand.
    pub projections: Vec<ProjectionStatus>,
}

impl Health {
    /// How many events the slowest read model is behind.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let behind =
            |status: &ProjectionStatus| self.head.get().saturating_sub(status.position.get());
        self.projections.iter().map(behind).max().unwrap_or(0)
    }

    /// The store takes writes, no read model has stopped, and none is more than `lag` events behind.
    #[must_use]
    pub fn is_ready(&self, lag: u64) -> bool {
        self.store.is_ok()
            && self.lag() <= lag
            && !self.projections.iter().any(ProjectionStatus::is_stopped)
    }
}

/// Who caused an event.
pub(super) fn actor(record: &RecordedEvent) -> String {
    record.metadata.actor.clone().unwrap_or_default()
}

/// The versions of the content that a history made.
pub(super) fn versions(history: &[Change]) -> Vec<SpecVersion> {
    let contents = history
        .iter()
        .filter_map(|change| match &change.event.event {
            SpecEvent::Created { content, .. } | SpecEvent::Updated { content, .. } => {
                Some((change, content))
            }
            SpecEvent::Published { .. }
            | SpecEvent::Deprecated { .. }
            | SpecEvent::Deleted { .. } => None,
        });
    let versions = contents
        .zip(1..)
        .map(|((change, content), version)| SpecVersion {
            version,
            content: content.clone(),
            created_at: change.event.record.recorded_at,
            created_by: change.actor(),
        });
    versions.collect()
}
