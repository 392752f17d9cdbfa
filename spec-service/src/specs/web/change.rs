//! The forms that publish, deprecate and delete a specification.

use axum::extract::{Form, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::page_id::PageId;
use super::show::show;
use crate::app::{AppError, RequestContext};
use crate::rest::Api;
use crate::rest::problem::status;
use crate::specs::app::WriteResult;
use crate::specs::domain::SpecId;
use crate::web::failure::FailedPage;
use crate::web::visitor::Visitor;

#[derive(Deserialize)]
pub struct ChangeForm {
    key: String,
    revision: u64,
    #[serde(default)]
    reason: String,
    /// Only of the form that publishes.
    version: Option<u64>,
}

impl ChangeForm {
    fn context(&self, visitor: &Visitor) -> RequestContext {
        RequestContext {
            idempotency_key: Some(self.key.clone()),
            expected_revision: Some(self.revision),
            ..visitor.context()
        }
    }

    fn reason(&self) -> Option<String> {
        Some(self.reason.clone())
    }
}

/// Publishes a version.
pub async fn publish(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Form(form): Form<ChangeForm>,
) -> Result<Response, FailedPage> {
    let context = form.context(&visitor);
    let written = api
        .specs
        .publish(id, form.version, form.reason(), &context)
        .await;
    respond(&api, &visitor, id, written, "published").await
}

/// Deprecates the specification.
pub async fn deprecate(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Form(form): Form<ChangeForm>,
) -> Result<Response, FailedPage> {
    let context = form.context(&visitor);
    let written = api.specs.deprecate(id, form.reason, &context).await;
    respond(&api, &visitor, id, written, "deprecated").await
}

/// Deletes the specification.
pub async fn delete(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Form(form): Form<ChangeForm>,
) -> Result<Response, FailedPage> {
    let context = form.context(&visitor);
    let written = api.specs.delete(id, form.reason(), &context).await;
    respond(&api, &visitor, id, written, "deleted").await
}

/// Shows the specification after the change, or with the reason why it was not changed.
async fn respond(
    api: &Api,
    visitor: &Visitor,
    id: SpecId,
    written: Result<WriteResult, AppError>,
    done: &str,
) -> Result<Response, FailedPage> {
    let Err(error) = written else {
        return Ok(Redirect::to(&format!("/ui/specs/{id}?done={done}")).into_response());
    };
    let text = match error {
        AppError::RevisionMismatch { .. } => {
            "somebody changed this specification after you opened the page; this is its current state".to_owned()
        }
        _ => error.to_string(),
    };
    show(api, visitor, id, None, None, Some((status(&error), text))).await
}
