//! Everything that changes a specification.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};

use super::Api;
use super::headers::{Caller, Tags, stamps};
use super::input::{Body, Id, Parameters, from_json, required};
use super::problem::{Answer, Problem};
use super::read::told;
use crate::app::{AppError, Context, NewSpec, NewVersion, Written};
use crate::domain::{SpecId, SpecState};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: Option<String>,
    content: Option<String>,
    description: Option<String>,
}

/// What a content that comes by itself needs beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateParameters {
    name: Option<String>,
    description: Option<String>,
}

#[derive(Serialize)]
struct CreatedBody {
    id: String,
    version: u64,
    state: SpecState,
}

/// `POST /v1/specs`: JSON, or the content as YAML with `?name=`.
pub(super) async fn create(
    State(api): State<Api>,
    Caller(context): Caller,
    Parameters(parameters): Parameters<CreateParameters>,
    body: Body,
) -> Answer {
    let (name, content, description) = match body {
        Body::Yaml(content) => {
            let name = parameters.name.ok_or_else(|| {
                Problem::malformed("a content by itself comes with its name: ?name=")
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
        Body::Empty => return Err(Problem::malformed("the body is empty")),
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
    let headers = stamps(&written);
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

/// `PUT /v1/specs/{id}`: JSON, or the content as YAML, which leaves the description as it is.
pub(super) async fn update(target: Target, body: Body) -> Answer {
    let (content, description) = match body {
        Body::Yaml(content) => (content.to_vec(), None),
        Body::Json(bytes) => {
            let body: UpdateBody = from_json(&bytes)?;
            (
                required(body.content, "content")?.into_bytes(),
                body.description,
            )
        }
        Body::Empty => return Err(Problem::malformed("the body is empty")),
    };
    let Target { api, id, context } = &target;
    let new = NewVersion {
        content: &content,
        description,
        expected_version: None,
    };
    let written = target
        .answer(api.specs.update(*id, new, context).await)
        .await?;
    let body = UpdatedBody {
        version: written.latest_version,
    };
    Ok((stamps(&written), Json(body)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishBody {
    version: Option<u64>,
}

/// How a specification stands behind a change of its state.
#[derive(Serialize)]
struct StateBody {
    id: String,
    latest_version: u64,
    published_version: Option<u64>,
    state: SpecState,
}

impl From<Written> for StateBody {
    fn from(written: Written) -> Self {
        Self {
            id: written.id.to_string(),
            latest_version: written.latest_version,
            published_version: written.published_version,
            state: written.state,
        }
    }
}

/// `POST /v1/specs/{id}/publish`: the latest version, or the one that the body names.
pub(super) async fn publish(target: Target, body: Body) -> Answer {
    let PublishBody { version } = body.object()?;
    let Target { api, id, context } = &target;
    let written = target
        .answer(api.specs.publish(*id, version, context).await)
        .await?;
    Ok((stamps(&written), Json(StateBody::from(written))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeprecateBody {
    reason: Option<String>,
}

/// `POST /v1/specs/{id}/deprecate`.
pub(super) async fn deprecate(target: Target, body: Body) -> Answer {
    let DeprecateBody { reason } = body.object()?;
    let reason = required(reason, "reason")?;
    let Target { api, id, context } = &target;
    let written = target
        .answer(api.specs.deprecate(*id, reason, context).await)
        .await?;
    Ok((stamps(&written), Json(StateBody::from(written))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteParameters {
    reason: Option<String>,
}

/// `DELETE /v1/specs/{id}?reason=`.
pub(super) async fn delete(
    target: Target,
    Parameters(parameters): Parameters<DeleteParameters>,
) -> Answer {
    let Target { api, id, context } = &target;
    let written = target
        .answer(api.specs.delete(*id, parameters.reason, context).await)
        .await?;
    let [_, position] = stamps(&written);
    Ok((StatusCode::NO_CONTENT, [position]).into_response())
}

/// The specification that a request wants to change, by whom, and on what terms.
pub(super) struct Target {
    api: Api,
    id: SpecId,
    context: Context,
}

impl FromRequestParts<Api> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Id(id) = Id::from_request_parts(parts, api).await?;
        let Caller(mut context) = Caller::from_request_parts(parts, api).await?;
        context.expected_revision = match Tags::if_match(&parts.headers)? {
            Tags::Absent | Tags::Any => None,
            // 0 is the revision of nothing: no tag matches.
            Tags::Some(revisions) if revisions.is_empty() => Some(0),
            Tags::Some(revisions) if revisions.len() == 1 => revisions.first().copied(),
            Tags::Some(revisions) => {
                let now = api.specs.get(id, None).await?.revision;
                let matching = revisions.iter().find(|revision| **revision == now);
                matching.or(revisions.first()).copied()
            }
        };
        let api = api.clone();
        Ok(Self { api, id, context })
    }
}

impl Target {
    async fn answer(&self, written: Result<Written, AppError>) -> Answer<Written> {
        match written {
            Ok(written) => Ok(written),
            Err(error) => Err(told(&self.api, self.id, error).await),
        }
    }
}
