//! The pages of one specification: a version, the list of versions, and the history.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use factum::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::lines::{Line, lines};
use super::page_id::PageId;
use crate::app::{AppError, Cursor, InvalidCursor, PageQuery};
use crate::rest::Api;
use crate::specs::app::{Change, SpecVersion, SpecView};
use crate::specs::domain::{Action, SpecEvent, SpecId};
use crate::web::failure::{FailedPage, page};
use crate::web::frame::Frame;
use crate::web::visitor::Visitor;

/// The number of items on a page.
const PAGE: usize = 25;

#[derive(Template)]
#[template(path = "specs/show.html")]
struct ShowPage<'a> {
    frame: Frame,
    tab: &'static str,
    spec: &'a SpecView,
    done: Option<&'static str>,
    problem: Option<String>,
    actions: &'static [Action],
    lines: Vec<Line<'a>>,
    key: Uuid,
}

impl ShowPage<'_> {
    fn allows(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    fn is_unpublished(&self) -> bool {
        self.spec.published_version != Some(self.spec.version)
    }

    fn is_newer_hidden(&self) -> bool {
        self.spec.version < self.spec.latest_version
    }

    fn can_publish(&self) -> bool {
        self.allows(Action::Publish) && self.is_unpublished()
    }
}

#[derive(Deserialize)]
pub struct ShowParameters {
    /// The change that led to this page.
    done: Option<String>,
}

/// Shows the published version, or the latest if none is published.
pub async fn current(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Query(parameters): Query<ShowParameters>,
) -> Result<Response, FailedPage> {
    let done = match parameters.done.as_deref() {
        Some("created") => Some("The draft was created."),
        Some("published") => Some("The version is published."),
        Some("deprecated") => Some("The specification is deprecated."),
        Some("deleted") => Some("The specification is deleted. Its history remains."),
        _ => None,
    };
    show(&api, &visitor, id, None, done, None).await
}

#[derive(Deserialize)]
pub struct VersionPath {
    version: u64,
}

/// Shows one version.
pub async fn version(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Path(VersionPath { version }): Path<VersionPath>,
    Query(parameters): Query<ShowParameters>,
) -> Result<Response, FailedPage> {
    let done = parameters.done.is_some_and(|done| done == "saved");
    let done = done.then_some("The version was added.");
    show(&api, &visitor, id, Some(version), done, None).await
}

/// Shows a version, with the reason why a change was not done, if there is one.
pub async fn show(
    api: &Api,
    visitor: &Visitor,
    id: SpecId,
    version: Option<u64>,
    done: Option<&'static str>,
    problem: Option<(StatusCode, String)>,
) -> Result<Response, FailedPage> {
    let spec = api.specs.get(id, version, &visitor.context()).await?;
    let (status, problem) = problem.map_or((StatusCode::OK, None), |(status, text)| {
        (status, Some(text))
    });
    let shown = ShowPage {
        frame: visitor.frame("specs"),
        tab: "content",
        done,
        problem,
        actions: Action::allowed_in(spec.state),
        lines: lines(spec.content.as_str()),
        key: Uuid::now_v7(),
        spec: &spec,
    };
    Ok(page(status, &shown))
}

#[derive(Deserialize)]
pub struct AfterParameter {
    after: Option<String>,
}

impl AfterParameter {
    fn query<const KIND: char>(&self) -> Result<PageQuery<Cursor<KIND>>, FailedPage> {
        let after = self.after.as_deref().map(str::parse).transpose();
        let after = after.map_err(|error: InvalidCursor| AppError::from(error))?;
        Ok(PageQuery { limit: PAGE, after })
    }
}

#[derive(Template)]
#[template(path = "specs/versions.html")]
struct VersionsPage {
    frame: Frame,
    tab: &'static str,
    spec: SpecView,
    done: Option<&'static str>,
    versions: Vec<SpecVersion>,
    next: Option<String>,
}

impl VersionsPage {
    fn is_published(&self, version: &SpecVersion) -> bool {
        self.spec.published_version == Some(version.version)
    }

    fn allows(&self, action: Action) -> bool {
        Action::allowed_in(self.spec.state).contains(&action)
    }
}

/// Shows the versions.
pub async fn versions(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Query(parameters): Query<AfterParameter>,
) -> Result<Response, FailedPage> {
    let found = api
        .specs
        .versions(id, parameters.query()?, &visitor.context())
        .await?;
    let shown = VersionsPage {
        frame: visitor.frame("specs"),
        tab: "versions",
        spec: api.specs.get(id, None, &visitor.context()).await?,
        done: None,
        versions: found.items,
        next: found
            .next
            .map(|cursor| format!("/ui/specs/{id}/versions?after={cursor}")),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// A change as the history shows it.
struct HistoryItem {
    title: String,
    actor: String,
    at: Timestamp,
    revision: u64,
    reason: Option<String>,
}

impl HistoryItem {
    fn of(change: &Change) -> Self {
        let title = match &change.event.event {
            SpecEvent::Created { .. } => "Created as a draft, with version 1".to_owned(),
            SpecEvent::Updated { .. } => "Version added".to_owned(),
            SpecEvent::Published { version } => format!("Version {version} published"),
            SpecEvent::Deprecated { .. } => "Deprecated".to_owned(),
            SpecEvent::Deleted { .. } => "Deleted".to_owned(),
        };
        Self {
            title,
            actor: change.actor(),
            at: change.event.record.recorded_at,
            revision: change.event.record.version.get(),
            reason: change.reason().map(str::to_owned),
        }
    }
}

#[derive(Template)]
#[template(path = "specs/history.html")]
struct HistoryPage {
    frame: Frame,
    tab: &'static str,
    spec: SpecView,
    done: Option<&'static str>,
    changes: Vec<HistoryItem>,
    next: Option<String>,
}

impl HistoryPage {
    fn allows(&self, action: Action) -> bool {
        Action::allowed_in(self.spec.state).contains(&action)
    }
}

/// Shows the changes, oldest first.
pub async fn history(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Query(parameters): Query<AfterParameter>,
) -> Result<Response, FailedPage> {
    let found = api
        .specs
        .history(id, parameters.query()?, &visitor.context())
        .await?;
    let shown = HistoryPage {
        frame: visitor.frame("specs"),
        tab: "history",
        spec: api.specs.get(id, None, &visitor.context()).await?,
        done: None,
        changes: found.items.iter().map(HistoryItem::of).collect(),
        next: found
            .next
            .map(|cursor| format!("/ui/specs/{id}/history?after={cursor}")),
    };
    Ok(page(StatusCode::OK, &shown))
}
