//! A specification: what happens to it, and its state.

use std::fmt;
use std::str::FromStr;

use factum::prelude::*;
use schemars::JsonSchema;
use uuid::Uuid;

use super::{Content, SpecName};

/// What tells one specification from another.
#[derive(Id, Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
pub struct SpecId(pub Uuid);

/// What happens to a specification. Who, when and why are in the metadata of each event.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "spec")]
pub enum SpecEvent {
    /// It came into being, with version 1 of its content, as a draft.
    Created {
        /// Its name for life.
        #[tag]
        name: SpecName,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Version 1.
        content: Content,
    },
    /// It has a new version of its content.
    Updated {
        /// What it is for from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The next version.
        content: Content,
    },
    /// One of its versions is the one in force.
    Published {
        /// Which version.
        version: u64,
    },
    /// It is not to be used any more.
    Deprecated {
        /// Why, and what to use instead.
        reason: String,
    },
    /// It is gone; its name is free.
    Deleted {
        /// The name that it had.
        #[tag]
        name: SpecName,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// Where a specification is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpecState {
    /// Not yet published.
    Draft,
    /// One of its versions is in force.
    Published,
    /// Not to be used any more.
    Deprecated,
    /// Gone, but for its history.
    Deleted,
}

impl SpecState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 4] = [
        Self::Draft,
        Self::Published,
        Self::Deprecated,
        Self::Deleted,
    ];

    /// In lower case, as it is written everywhere.
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

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state: draft, published, deprecated or deleted")]
pub struct UnknownState(String);

impl FromStr for SpecState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownState(text.chars().take(40).collect()))
    }
}

/// A specification now: every version of its content, and where it is in its life.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "spec", id = SpecId, event = SpecEvent, snapshot(every = 100))]
pub struct Spec {
    life: Option<Life>,
}

/// What a specification has once it was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Its name.
    pub name: SpecName,
    /// What it is for.
    pub description: Option<String>,
    /// The versions of its content: version 1 first.
    pub contents: Vec<Content>,
    /// The version in force, or that was when it was deprecated or deleted.
    pub published: Option<u64>,
    /// Where it is in its life.
    pub state: SpecState,
}

impl Spec {
    /// What it has; `None` if nothing was ever created under this id.
    #[must_use]
    pub fn life(&self) -> Option<&Life> {
        self.life.as_ref()
    }
}

impl Life {
    /// The newest version of the content.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.contents.len() as u64
    }

    /// The content of `version`, if there is one.
    #[must_use]
    pub fn content(&self, version: u64) -> Option<&Content> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        self.contents.get(index)
    }
}

impl Apply<SpecEvent> for Spec {
    fn apply(&mut self, event: &SpecEvent) {
        if let SpecEvent::Created {
            name,
            description,
            content,
        } = event
        {
            self.life = Some(Life {
                name: name.clone(),
                description: description.clone(),
                contents: vec![content.clone()],
                published: None,
                state: SpecState::Draft,
            });
        }
        let Some(life) = &mut self.life else { return };
        match event {
            SpecEvent::Created { .. } => {}
            SpecEvent::Updated {
                description,
                content,
            } => {
                life.description.clone_from(description);
                life.contents.push(content.clone());
            }
            SpecEvent::Published { version } => {
                life.published = Some(*version);
                life.state = SpecState::Published;
            }
            SpecEvent::Deprecated { .. } => life.state = SpecState::Deprecated,
            SpecEvent::Deleted { .. } => life.state = SpecState::Deleted,
        }
    }
}

/// Whether a living specification has the name that a query asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameHolder {
    /// It has.
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
