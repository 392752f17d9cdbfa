//! [`SpecList`]: the read model of the list of specifications.

use async_trait::async_trait;
use factum::{Position, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::ListCursor;
use super::view::actor;
use crate::access::domain::{NamespaceId, TenantId};
use crate::app::{AppError, DEFAULT_LIMIT};
use crate::specs::domain::{SpecEvent, SpecId, SpecName, SpecState};

/// The read access to the list of specifications.
#[async_trait]
pub trait SpecList: Send + Sync + 'static {
    /// Returns a page of the specifications of a tenant, in the order of creation.
    ///
    /// # Errors
    /// Returns [`AppError::Unavailable`] or [`AppError::Internal`] if the database fails.
    async fn page(&self, tenant: &TenantId, query: ListQuery) -> Result<ListPage, AppError>;
}

/// The selection of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// The namespace of the specifications. `None` means all namespaces.
    pub namespace: Option<NamespaceId>,
    /// The state of the specifications. `None` means any state except deleted.
    pub state: Option<SpecState>,
    /// The maximum number of specifications in the page, from 1 to [`MAX_LIMIT`](crate::app::MAX_LIMIT).
    pub limit: usize,
    /// The cursor after which the page starts.
    pub after: Option<ListCursor>,
    /// The position that the list must have reached, from a write on any node.
    pub min_position: Option<Position>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            namespace: None,
            state: None,
            limit: DEFAULT_LIMIT,
            after: None,
            min_position: None,
        }
    }
}

impl ListQuery {
    /// Returns whether the query of a caller of `tenant` selects `spec`.
    #[must_use]
    pub fn selects(&self, tenant: &TenantId, spec: &SpecSummary) -> bool {
        let is_in_namespace = match &self.namespace {
            Some(selected) => *selected == spec.namespace,
            None => true,
        };
        let is_in_state = match self.state {
            Some(selected) => selected == spec.state,
            None => spec.state != SpecState::Deleted,
        };
        spec.tenant == *tenant && is_in_namespace && is_in_state
    }
}

/// A page of specifications.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// The specifications of this page.
    pub specs: Vec<SpecSummary>,
    /// The number of specifications on all pages.
    pub total: u64,
    /// The cursor of the next page. `None` means that this is the last page.
    pub next: Option<ListCursor>,
}

/// A specification in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecSummary {
    /// The id.
    pub id: SpecId,
    /// The tenant.
    pub tenant: TenantId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The name.
    pub name: SpecName,
    /// The purpose of the specification, in the published version, or in the latest if none was published.
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
    /// The time of the last change, except for new versions after the first publication.
    pub updated_at: Timestamp,
    /// The actor of that change.
    pub updated_by: String,
    /// The number of changes.
    pub revision: u64,
}

impl SpecSummary {
    /// Returns the summary after `event`, given the summary before it.
    ///
    /// `description_of` returns the description of an earlier version. It is called if that version is published.
    /// Returns `None` if `before` is `None` and the event is not a creation.
    #[must_use]
    pub fn after(
        before: Option<Self>,
        id: SpecId,
        event: &Recorded<SpecEvent>,
        description_of: impl FnOnce(u64) -> Option<String>,
    ) -> Option<Self> {
        let (at, by) = (event.record.recorded_at, actor(&event.record));
        let mut summary = match (&event.event, before) {
            (
                SpecEvent::Created {
                    path, description, ..
                },
                _,
            ) => Self {
                id,
                tenant: path.tenant.clone(),
                namespace: path.namespace.clone(),
                name: path.name.clone(),
                description: description.clone(),
                state: SpecState::Draft,
                latest_version: 1,
                published_version: None,
                created_at: at,
                created_by: by.clone(),
                updated_at: at,
                updated_by: by.clone(),
                revision: 0,
            },
            (_, before) => before?,
        };
        summary.revision = event.record.version.get();
        match &event.event {
            SpecEvent::Created { .. } => {}
            SpecEvent::Updated { description, .. } => {
                summary.latest_version += 1;
                // A draft of a published specification is not visible.
                if summary.published_version.is_some() {
                    return Some(summary);
                }
                summary.description.clone_from(description);
            }
            SpecEvent::Published { version } => {
                summary.description = description_of(*version);
                summary.published_version = Some(*version);
                summary.state = SpecState::Published;
            }
            SpecEvent::Deprecated { .. } => summary.state = SpecState::Deprecated,
            SpecEvent::Deleted { .. } => summary.state = SpecState::Deleted,
        }
        summary.updated_at = at;
        summary.updated_by = by;
        Some(summary)
    }
}
