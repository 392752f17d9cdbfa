//! [`SpecList`]: the list of specifications, whoever keeps it.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use factum::{Position, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::AppError;
use crate::app::view::actor;
use crate::domain::{SpecEvent, SpecId, SpecName, SpecState};

/// The most specifications in a page.
pub const MAX_LIMIT: usize = 100;

/// Keeps the list of specifications.
#[async_trait]
pub trait SpecList: Send + Sync + 'static {
    /// A page, in the order of creation.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] or [`AppError::Internal`] if what keeps the list fails.
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError>;
}

/// Which specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// Those in this state; `None`: in any state but deleted.
    pub state: Option<SpecState>,
    /// At most this many: 1 to 100.
    pub limit: usize,
    /// Those behind this place.
    pub after: Option<Cursor>,
    /// The page must show what was written up to here, by whichever instance.
    pub known: Option<Position>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            state: None,
            limit: 50,
            after: None,
            known: None,
        }
    }
}

impl ListQuery {
    pub(super) fn check(&self) -> Result<(), AppError> {
        match self.limit {
            1..=MAX_LIMIT => Ok(()),
            limit => Err(AppError::Limit { limit }),
        }
    }

    /// Whether a specification in `state` is wanted.
    #[must_use]
    pub fn wants(&self, state: SpecState) -> bool {
        match self.state {
            Some(wanted) => wanted == state,
            None => state != SpecState::Deleted,
        }
    }
}

/// A page of specifications.
#[derive(Debug, Clone, PartialEq)]
pub struct ListPage {
    /// Those of this page.
    pub specs: Vec<SpecSummary>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<Cursor>,
}

/// A place in the list: behind the specification whose creation has this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Position);

/// A text that is no place in the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor that this service gave out")]
pub struct InvalidCursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:x}", self.0.get())
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let digits = text
            .strip_prefix('p')
            .filter(|digits| !digits.starts_with('+'));
        let position = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        position
            .map(|position| Self(Position::new(position)))
            .ok_or_else(|| InvalidCursor(text.chars().take(40).collect()))
    }
}

/// A specification as it stands in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecSummary {
    /// Its id.
    pub id: SpecId,
    /// Its name.
    pub name: SpecName,
    /// What it is for.
    pub description: Option<String>,
    /// Where it is in its life.
    pub state: SpecState,
    /// Its latest version.
    pub latest_version: u64,
    /// The version in force, or that was when it was deprecated or deleted.
    pub published_version: Option<u64>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// How many changes it has seen.
    pub revision: u64,
}

impl SpecSummary {
    /// The summary behind `event`, which comes behind those that made `before`.
    #[must_use]
    pub fn after(before: Option<Self>, id: SpecId, event: &Recorded<SpecEvent>) -> Option<Self> {
        let (at, by) = (event.record.recorded_at, actor(&event.record));
        let mut summary = match (&event.event, before) {
            (
                SpecEvent::Created {
                    name, description, ..
                },
                _,
            ) => Self {
                id,
                name: name.clone(),
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
        match &event.event {
            SpecEvent::Created { .. } => {}
            SpecEvent::Updated { description, .. } => {
                summary.description.clone_from(description);
                summary.latest_version += 1;
            }
            SpecEvent::Published { version } => {
                summary.published_version = Some(*version);
                summary.state = SpecState::Published;
            }
            SpecEvent::Deprecated { .. } => summary.state = SpecState::Deprecated,
            SpecEvent::Deleted { .. } => summary.state = SpecState::Deleted,
        }
        summary.updated_at = at;
        summary.updated_by = by;
        summary.revision = event.record.version.get();
        Some(summary)
    }
}
