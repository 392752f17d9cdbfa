//! The forms that create a specification and add a version.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::page_id::PageId;
use crate::access::domain::NamespaceId;
use crate::app::{AppError, RequestContext};
use crate::rest::Api;
use crate::rest::problem::status;
use crate::specs::app::{NewSpec, NewVersion};
use crate::specs::domain::SpecId;
use crate::web::failure::{FailedPage, page};
use crate::web::frame::Frame;
use crate::web::visitor::Visitor;

/// The form with the input that the visitor sent, and the reason why it was not saved.
#[derive(Template)]
#[template(path = "specs/edit.html")]
struct EditPage {
    frame: Frame,
    heading: String,
    action: String,
    id: Option<SpecId>,
    problem: Option<EditProblem>,
    max_content: usize,
    key: String,
    revision: u64,
    namespace: String,
    name: String,
    description: String,
    content: String,
    reason: String,
}

struct EditProblem {
    status: StatusCode,
    field: Option<&'static str>,
    text: String,
}

impl EditProblem {
    fn of(error: &AppError) -> Self {
        error.log();
        Self {
            status: status(error),
            field: error.field(),
            text: error.to_string(),
        }
    }
}

impl EditPage {
    fn is_wrong(&self, field: &str) -> bool {
        let wrong = self.problem.as_ref().and_then(|problem| problem.field);
        wrong == Some(field)
    }

    fn respond(&self) -> Response {
        let status = self.problem.as_ref().map(|problem| problem.status);
        page(status.unwrap_or(StatusCode::OK), self)
    }
}

/// Shows the form for a new specification.
pub async fn new(State(api): State<Api>, visitor: Visitor) -> Response {
    let form = CreateForm {
        key: Uuid::now_v7().to_string(),
        namespace: NamespaceId::default().to_string(),
        ..CreateForm::default()
    };
    form.page(&api, &visitor, None).respond()
}

#[derive(Default, Deserialize)]
pub struct CreateForm {
    key: String,
    namespace: String,
    name: String,
    description: String,
    content: String,
    reason: String,
}

impl CreateForm {
    fn page(self, api: &Api, visitor: &Visitor, problem: Option<EditProblem>) -> EditPage {
        EditPage {
            frame: visitor.frame("specs"),
            heading: "New specification".to_owned(),
            action: "/ui/specs/new".to_owned(),
            id: None,
            problem,
            max_content: api.max_content,
            key: self.key,
            revision: 0,
            namespace: self.namespace,
            name: self.name,
            description: self.description,
            content: self.content,
            reason: self.reason,
        }
    }
}

/// Creates a specification.
pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    Form(form): Form<CreateForm>,
) -> Response {
    let content = unix_lines(&form.content);
    let new = NewSpec {
        namespace: Some(form.namespace.trim()),
        name: form.name.trim(),
        content: content.as_bytes(),
        description: Some(form.description.clone()),
        reason: Some(form.reason.clone()),
    };
    let context = RequestContext {
        idempotency_key: Some(form.key.clone()),
        ..visitor.context()
    };
    match api.specs.create(new, &context).await {
        Ok(written) => {
            Redirect::to(&format!("/ui/specs/{}?done=created", written.id)).into_response()
        }
        Err(error) => {
            // Another input is another request.
            let form = CreateForm {
                key: Uuid::now_v7().to_string(),
                ..form
            };
            form.page(&api, &visitor, Some(EditProblem::of(&error)))
                .respond()
        }
    }
}

/// Shows the form for a new version, with the latest version.
pub async fn edit(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
) -> Result<Response, FailedPage> {
    let latest = api
        .specs
        .get(id, None, &visitor.context())
        .await?
        .latest_version;
    let spec = api.specs.get(id, Some(latest), &visitor.context()).await?;
    let form = UpdateForm {
        key: Uuid::now_v7().to_string(),
        revision: spec.revision,
        description: spec.description.unwrap_or_default(),
        content: spec.content.as_str().to_owned(),
        reason: String::new(),
    };
    let name = spec.name.as_str().to_owned();
    Ok(form.page(&api, &visitor, id, name, None).respond())
}

#[derive(Deserialize)]
pub struct UpdateForm {
    key: String,
    revision: u64,
    description: String,
    content: String,
    reason: String,
}

impl UpdateForm {
    fn page(
        self,
        api: &Api,
        visitor: &Visitor,
        id: SpecId,
        name: String,
        problem: Option<EditProblem>,
    ) -> EditPage {
        EditPage {
            frame: visitor.frame("specs"),
            heading: format!("New version of {name}"),
            action: format!("/ui/specs/{id}/edit"),
            id: Some(id),
            problem,
            max_content: api.max_content,
            key: self.key,
            revision: self.revision,
            namespace: String::new(),
            name,
            description: self.description,
            content: self.content,
            reason: self.reason,
        }
    }
}

/// Adds a version.
pub async fn update(
    State(api): State<Api>,
    visitor: Visitor,
    PageId(id): PageId,
    Form(form): Form<UpdateForm>,
) -> Result<Response, FailedPage> {
    let content = unix_lines(&form.content);
    let new = NewVersion {
        content: content.as_bytes(),
        description: Some(form.description.clone()),
        reason: Some(form.reason.clone()),
        expected_version: None,
    };
    let context = RequestContext {
        idempotency_key: Some(form.key.clone()),
        expected_revision: Some(form.revision),
        ..visitor.context()
    };
    let error = match api.specs.update(id, new, &context).await {
        Ok(written) => {
            let version = written.latest_version;
            let target = format!("/ui/specs/{id}/versions/{version}?done=saved");
            return Ok(Redirect::to(&target).into_response());
        }
        Err(error) => error,
    };
    let spec = api.specs.get(id, None, &visitor.context()).await?;
    let mut problem = EditProblem::of(&error);
    if matches!(error, AppError::RevisionMismatch { .. }) {
        problem.text = format!(
            "{} changed this specification after you opened this page. Compare your text with version {}, then save \
             again to add it after that version.",
            spec.updated_by, spec.latest_version
        );
    }
    let form = UpdateForm {
        key: Uuid::now_v7().to_string(),
        revision: spec.revision,
        ..form
    };
    let name = spec.name.as_str().to_owned();
    Ok(form.page(&api, &visitor, id, name, Some(problem)).respond())
}

/// Returns the text of a form field with the line ends that the visitor typed. Forms send CR LF.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}
