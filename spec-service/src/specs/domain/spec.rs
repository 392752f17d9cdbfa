//! The aggregate [`Spec`], its events and its states.

use std::fmt;
use std::str::FromStr;

use factum::prelude::*;
use schemars::JsonSchema;
use uuid::Uuid;

use super::name::{QualifiedName, SpecName};
use crate::access::domain::{NamespaceId, TenantId};
use crate::content::Content;

/// The id of a specification.
#[derive(Id, Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
pub struct SpecId(pub Uuid);

/// An event of a specification. The metadata has the actor, the time and the reason.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "spec")]
pub enum SpecEvent {
    /// A specification was created as a draft, with version 1 of its content.
    Created {
        /// The tenant, the namespace and the name, which never change.
        #[tag("path")]
        #[serde(flatten)]
        path: QualifiedName,
        /// The caller who wrote version 1.
        author: String,
        /// The purpose of the specification.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Version 1 of the content.
        content: Content,
    },
    /// A version was added to the content.
    Updated {
        /// The caller who wrote the version.
        author: String,
        /// The purpose of the specification from this event on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The next version of the content.
        content: Content,
    },
    /// A version was published.
    Published {
        /// The published version.
        version: u64,
    },
    /// The specification was deprecated.
    Deprecated {
        /// The reason, with the replacement if there is one.
        reason: String,
    },
    /// The specification was deleted, and its name is free again.
    Deleted {
        /// The tenant, the namespace and the name of the specification.
        #[tag("path")]
        #[serde(flatten)]
        path: QualifiedName,
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// The lifecycle state of a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpecState {
    /// The specification was never published.
    Draft,
    /// A version of the specification is published.
    Published,
    /// The specification must no longer be used.
    Deprecated,
    /// The specification is deleted. Its history remains.
    Deleted,
}

impl SpecState {
    /// All states, in lifecycle order.
    pub const ALL: [Self; 4] = [
        Self::Draft,
        Self::Published,
        Self::Deprecated,
        Self::Deleted,
    ];

    /// Returns the name of the state, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Deprecated => "deprecated",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for SpecState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of parsing a [`SpecState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state: {0:?}; expected draft, published, deprecated or deleted")]
pub struct UnknownState(String);

impl FromStr for SpecState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownState(text.chars().take(40).collect()))
    }
}

/// A specification: its lifecycle state, and the places of its versions.
///
/// The contents are not part of the state. They are read from the events, so the state stays small.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "spec", id = SpecId, event = SpecEvent, snapshot(every = 100))]
pub struct Spec {
    life: Option<Life>,
}

/// The state of a specification after its creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// The tenant.
    pub tenant: TenantId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The name.
    pub name: SpecName,
    /// The purpose of the specification, in the latest version.
    pub description: Option<String>,
    /// The revisions that added the versions, version 1 first.
    pub versions: Vec<u64>,
    /// The version that was published last, if any.
    pub published: Option<u64>,
    /// The lifecycle state.
    pub state: SpecState,
    /// The number of changes.
    pub revision: u64,
    /// The revision of the last change that added no version, or of the creation.
    pub state_revision: u64,
}

impl Spec {
    /// Returns the state after the creation, or `None` if the specification does not exist.
    #[must_use]
    pub fn life(&self) -> Option<&Life> {
        self.life.as_ref()
    }
}

impl Life {
    /// Returns the complete name.
    #[must_use]
    pub fn path(&self) -> QualifiedName {
        QualifiedName {
            tenant: self.tenant.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// Returns the number of the latest version.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.versions.len() as u64
    }

    /// Returns the revision that added `version`, if it exists.
    #[must_use]
    pub fn revision_of(&self, version: u64) -> Option<u64> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.versions.get(index).copied()
    }
}

impl Apply<SpecEvent> for Spec {
    fn apply(&mut self, event: &SpecEvent) {
        if let SpecEvent::Created {
            path, description, ..
        } = event
        {
            self.life = Some(Life {
                tenant: path.tenant.clone(),
                namespace: path.namespace.clone(),
                name: path.name.clone(),
                description: description.clone(),
                versions: vec![1],
                published: None,
                state: SpecState::Draft,
                revision: 0,
                state_revision: 1,
            });
        }
        let Some(life) = &mut self.life else { return };
        life.revision += 1;
        match event {
            SpecEvent::Created { .. } => {}
            SpecEvent::Updated { description, .. } => {
                life.description.clone_from(description);
                life.versions.push(life.revision);
                return;
            }
            SpecEvent::Published { version } => {
                life.published = Some(*version);
                life.state = SpecState::Published;
            }
            SpecEvent::Deprecated { .. } => life.state = SpecState::Deprecated,
            SpecEvent::Deleted { .. } => life.state = SpecState::Deleted,
        }
        life.state_revision = life.revision;
    }
}

/// The use of a name by a specification that is not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameHolder {
    /// Set if a specification that is not deleted has the name.
    pub taken: bool,
}

impl Apply<SpecEvent> for NameHolder {
    fn apply(&mut self, event: &SpecEvent) {
        match event {
            SpecEvent::Created { .. } => self.taken = true,
            SpecEvent::Deleted { .. } => self.taken = false,
            SpecEvent::Updated { .. }
            | SpecEvent::Published { .. }
            | SpecEvent::Deprecated { .. } => {}
        }
    }
}
