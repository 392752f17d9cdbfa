//! [`SearchEntry`]: a specification in the index.

use factum::{Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::fields::{SearchFields, indexed};
use super::filters::{FilterValue, state_tokens, tenant_token};
use crate::access::domain::{NamespaceId, TenantId};
use crate::specs::app::actor;
use crate::specs::domain::{SpecEvent, SpecId, SpecName, SpecState};

/// A specification in the index, in its latest version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchEntry {
    /// The id.
    pub id: SpecId,
    /// The tenant.
    pub tenant: TenantId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The name.
    pub name: SpecName,
    /// The purpose of the specification in the latest version.
    pub description: Option<String>,
    /// The lifecycle state.
    pub state: SpecState,
    /// The latest version.
    pub latest_version: u64,
    /// The version that was published last, if any.
    pub published_version: Option<u64>,
    /// The time of the creation.
    pub created_at: Timestamp,
    /// The actor of the creation.
    pub created_by: String,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The actor of the last change.
    pub updated_by: String,
    /// The number of changes.
    pub revision: u64,
}

/// An entry with the part of its content that is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchDocument {
    /// The entry.
    pub entry: SearchEntry,
    /// The searched part of the latest content.
    pub content: String,
}

impl SearchDocument {
    /// Returns the document after `event`, given the document before it.
    ///
    /// Returns `None` if `before` is `None` and the event is not a creation.
    pub fn after(before: Option<Self>, id: SpecId, event: &Recorded<SpecEvent>) -> Option<Self> {
        let (at, by) = (event.record.recorded_at, actor(&event.record));
        let mut document = match (&event.event, before) {
            (SpecEvent::Created { path, .. }, _) => Self {
                entry: SearchEntry {
                    id,
                    tenant: path.tenant.clone(),
                    namespace: path.namespace.clone(),
                    name: path.name.clone(),
                    description: None,
                    state: SpecState::Draft,
                    latest_version: 0,
                    published_version: None,
                    created_at: at,
                    created_by: by.clone(),
                    updated_at: at,
                    updated_by: by.clone(),
                    revision: 0,
                },
                content: String::new(),
            },
            (_, before) => before?,
        };
        let entry = &mut document.entry;
        match &event.event {
            SpecEvent::Created {
                description,
                content,
                ..
            }
            | SpecEvent::Updated {
                description,
                content,
                ..
            } => {
                entry.latest_version += 1;
                entry.description.clone_from(description);
                document.content = indexed(content.as_str()).to_owned();
            }
            SpecEvent::Published { version } => {
                entry.published_version = Some(*version);
                entry.state = SpecState::Published;
            }
            SpecEvent::Deprecated { .. } => entry.state = SpecState::Deprecated,
            SpecEvent::Deleted { .. } => entry.state = SpecState::Deleted,
        }
        entry.revision = event.record.version.get();
        entry.updated_at = at;
        entry.updated_by = by;
        Some(document)
    }

    /// Returns the texts that are searched.
    pub fn fields(&self) -> SearchFields<'_> {
        SearchFields {
            name: self.entry.name.as_str(),
            description: self.entry.description.as_deref().unwrap_or_default(),
            content: &self.content,
            ..SearchFields::default()
        }
    }

    /// Returns the tokens of the values that can be filtered by.
    pub fn tokens(&self) -> Vec<String> {
        let mut values = vec![
            FilterValue::Namespace(self.entry.namespace.to_string()),
            FilterValue::Actor(self.entry.created_by.clone()),
            FilterValue::Actor(self.entry.updated_by.clone()),
        ];
        values.sort();
        values.dedup();
        let values = values.iter().map(FilterValue::token);
        let scope = [tenant_token(&self.entry.tenant)];
        let states = state_tokens(self.entry.state);
        scope.into_iter().chain(states).chain(values).collect()
    }
}
