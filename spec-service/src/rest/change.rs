//! The handlers that change a specification.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::headers::{Caller, EntityTags, write_headers};
use super::input::{Body, Id, Parameters, from_json, required};
use super::problem::{ApiResult, Problem};
use super::read::write_problem;
use crate::app::{AppError, NewSpec, NewVersion, RequestContext, WriteResult};
use crate::domain::{SpecId, SpecState};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: Option<String>,
    content: Option<String>,
    description: Option<String>,
}

/// The query parameters of a creation with a YAML body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateParameters {
    name: Option<String>,
    description: Option<String>,
}

#[derive(Serialize)]
struct CreatedBody {
    id: String,
    version: u64,
    state: SpecState,
}

/// Handles `POST /v1/specs`: JSON, or the content as YAML with `?name=`.
pub async fn create(
    State(api): State<Api>,
    Caller(context): Caller,
    Parameters(parameters): Parameters<CreateParameters>,
    body: Body,
) -> ApiResult {
    let (name, content, description) = match body {
        Body::Yaml(content) => {
            let name = parameters.name.ok_or_else(|| {
                Problem::malformed(
                    "missing query parameter: `name`; it is required with a YAML body",
                )
            })?;
            (name, content.to_vec(), parameters.description)
        }
        Body::Json(bytes) => {
            let body: CreateBody = from_json(&bytes)?;
            let name = required(body.name, "name")?;
            (
                name,
                required(body.content, "content")?.into_bytes(),
                body.description,
            )
        }
        Body::Empty => return Err(Problem::malformed("empty request body; send JSON or YAML")),
    };
    let new = NewSpec {
        name: &name,
        content: &content,
        description,
    };
    let written = api.specs.create(new, &context).await?;
    let location = (header::LOCATION, format!("/v1/specs/{}", written.id));
    let body = CreatedBody {
        id: written.id.to_string(),
        version: written.latest_version,
        state: written.state,
    };
    let headers = write_headers(&written);
    Ok((StatusCode::CREATED, [location], headers, Json(body)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateBody {
    content: Option<String>,
    description: Option<String>,
}

#[derive(Serialize)]
struct UpdatedBody {
    version: u64,
}

/// Handles `PUT /v1/specs/{id}`: JSON, or the content as YAML, which keeps the description.
pub async fn update(target: Target, body: Body) -> ApiResult {
    let (content, description) = match body {
        Body::Yaml(content) => (content.to_vec(), None),
        Body::Json(bytes) => {
            let body: UpdateBody = from_json(&bytes)?;
            (
                required(body.content, "content")?.into_bytes(),
                body.description,
            )
        }
        Body::Empty => return Err(Problem::malformed("empty request body; send JSON or YAML")),
    };
    let Target { api, id, context } = &target;
    let new = NewVersion {
        content: &content,
        description,
        expected_version: None,
    };
    let written = target
        .checked(api.specs.update(*id, new, context).await)
        .await?;
    let body = UpdatedBody {
        version: written.latest_version,
    };
    Ok((write_headers(&written), Json(body)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishBody {
    version: Option<u64>,
}

/// The specification after a change of its state.
#[derive(Serialize)]
struct StateBody {
    id: String,
    latest_version: u64,
    published_version: Option<u64>,
    state: SpecState,
}

impl From<WriteResult> for StateBody {
    fn from(written: WriteResult) -> Self {
        Self {
            id: written.id.to_string(),
            latest_version: written.latest_version,
            published_version: written.published_version,
            state: written.state,
        }
    }
}

/// Handles `POST /v1/specs/{id}/publish`: publishes the latest version, or the one in the body.
pub async fn publish(target: Target, body: Body) -> ApiResult {
    let PublishBody { version } = body.object()?;
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.publish(*id, version, context).await)
        .await?;
    Ok((write_headers(&written), Json(StateBody::from(written))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeprecateBody {
    reason: Option<String>,
}

/// Handles `POST /v1/specs/{id}/deprecate`.
pub async fn deprecate(target: Target, body: Body) -> ApiResult {
    let DeprecateBody { reason } = body.object()?;
    let reason = required(reason, "reason")?;
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.deprecate(*id, reason, context).await)
        .await?;
    Ok((write_headers(&written), Json(StateBody::from(written))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteParameters {
    reason: Option<String>,
}

/// Handles `DELETE /v1/specs/{id}?reason=`.
pub async fn delete(
    target: Target,
    Parameters(parameters): Parameters<DeleteParameters>,
) -> ApiResult {
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.delete(*id, parameters.reason, context).await)
        .await?;
    let [_, position] = write_headers(&written);
    Ok((StatusCode::NO_CONTENT, [position]).into_response())
}

/// An extractor of the specification to change, the caller and the conditions.
pub struct Target {
    api: Api,
    id: SpecId,
    context: RequestContext,
}

impl FromRequestParts<Api> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Id(id) = Id::from_request_parts(parts, api).await?;
        let Caller(mut context) = Caller::from_request_parts(parts, api).await?;
        context.expected_revision = match EntityTags::if_match(&parts.headers)? {
            EntityTags::Absent | EntityTags::Any => None,
            // No specification has revision 0, so the write fails.
            EntityTags::Some(revisions) if revisions.is_empty() => Some(0),
            EntityTags::Some(revisions) if revisions.len() == 1 => revisions.first().copied(),
            EntityTags::Some(revisions) => {
                let current = api.specs.get(id, None).await?.revision;
                let matching = revisions.iter().find(|revision| **revision == current);
                matching.or(revisions.first()).copied()
            }
        };
        let api = api.clone();
        Ok(Self { api, id, context })
    }
}

impl Target {
    /// Converts the error of a write to a problem.
    async fn checked(&self, written: Result<WriteResult, AppError>) -> ApiResult<WriteResult> {
        match written {
            Ok(written) => Ok(written),
            Err(error) => Err(write_problem(&self.api, self.id, error).await),
        }
    }
}
