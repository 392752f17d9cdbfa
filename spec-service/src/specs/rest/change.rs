//! The handlers that change a specification.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::read::write_problem;
use crate::app::{AppError, RequestContext};
use crate::rest::api::Api;
use crate::rest::conditions::{Conditions, ExpectedRevision};
use crate::rest::headers::{CallContext, write_headers};
use crate::rest::input::{Body, Id, NoParameters, Parameters, from_json, required};
use crate::rest::openapi::{SpecPath, SpecStateName};
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::app::{NewSpec, NewVersion, WriteResult};
use crate::specs::domain::{SpecId, SpecState};

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// The namespace; `default` if absent.
    namespace: Option<String>,
    /// The name, unique among the specifications that are not deleted.
    #[schema(required, value_type = String, example = "transfer-limits")]
    name: Option<String>,
    /// Version 1 of the content, as YAML.
    #[schema(required, value_type = String, example = "limit: 250\n")]
    content: Option<String>,
    /// The purpose of the specification.
    #[schema(example = "Limits of transfers")]
    description: Option<String>,
    /// The reason, for the history.
    reason: Option<String>,
}

/// The query parameters of a write with a YAML body. A write with a JSON body has them in the body.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CreateParameters {
    /// The namespace; `default` if absent.
    namespace: Option<String>,
    /// The name. Only with a YAML body.
    name: Option<String>,
    /// The purpose of the specification. Only with a YAML body.
    description: Option<String>,
    /// The reason, for the history. Only with a YAML body.
    reason: Option<String>,
}

/// The query parameters of an update with a YAML body.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UpdateParameters {
    /// The new purpose of the specification. Only with a YAML body.
    description: Option<String>,
    /// The reason, for the history. Only with a YAML body.
    reason: Option<String>,
}

/// Rejects query parameters of a write with a JSON body.
fn reject_with_json(parameters: &[(&str, &Option<String>)]) -> Result<(), Problem> {
    match parameters.iter().find(|(_, value)| value.is_some()) {
        None => Ok(()),
        Some((name, _)) => Err(Problem::malformed(format!(
            "query parameter not allowed with a JSON body: `{name}`; send it in the body"
        ))),
    }
}

#[derive(Serialize, ToSchema)]
struct CreatedBody {
    /// The id of the specification.
    #[schema(format = Uuid)]
    id: String,
    /// The version of the content: 1.
    version: u64,
    /// The state: `draft`.
    #[schema(value_type = SpecStateName)]
    state: SpecState,
}

/// Handles `POST /v1/specs`: JSON, or the content as YAML with `?name=`.
#[utoipa::path(
    post,
    path = "/v1/specs",
    operation_id = "create_spec",
    summary = "Create a specification as a draft",
    tag = "specs",
    params(CreateParameters),
    request_body(content((CreateBody = "application/json"), (String = "application/yaml"))),
    responses((status = 201, description = "Created as a draft", body = CreatedBody)),
)]
pub async fn create(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Parameters(parameters): Parameters<CreateParameters>,
    conditions: Conditions,
    body: Body,
) -> ApiResult {
    conditions.check_creation()?;
    let (namespace, name, content, description, reason) = match body {
        Body::Yaml(content) => {
            let CreateParameters {
                namespace,
                name,
                description,
                reason,
            } = parameters;
            let name = name.ok_or_else(|| {
                Problem::malformed(
                    "missing query parameter: `name`; it is required with a YAML body",
                )
            })?;
            (namespace, name, content.to_vec(), description, reason)
        }
        Body::Json(bytes) => {
            reject_with_json(&[
                ("namespace", &parameters.namespace),
                ("name", &parameters.name),
                ("description", &parameters.description),
                ("reason", &parameters.reason),
            ])?;
            let body: CreateBody = from_json(&bytes)?;
            let name = required(body.name, "name")?;
            (
                body.namespace,
                name,
                required(body.content, "content")?.into_bytes(),
                body.description,
                body.reason,
            )
        }
        Body::Empty => return Err(Problem::malformed("empty request body; send JSON or YAML")),
    };
    let new = NewSpec {
        namespace: namespace.as_deref(),
        name: &name,
        content: &content,
        description,
        reason,
    };
    let written = api.specs.create(new, &context).await?;
    let location = (header::LOCATION, format!("/v1/specs/{}", written.id));
    let body = CreatedBody {
        id: written.id.to_string(),
        version: written.latest_version,
        state: written.state,
    };
    let headers = write_headers(written.revision, written.position);
    Ok((StatusCode::CREATED, [location], headers, Json(body)).into_response())
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateBody {
    /// The next version of the content, as YAML.
    #[schema(required, value_type = String, example = "limit: 300\n")]
    content: Option<String>,
    /// The new purpose of the specification. Empty removes it.
    description: Option<String>,
    /// The reason, for the history.
    #[schema(example = "The limit was too low")]
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct UpdatedBody {
    /// The new version.
    version: u64,
}

/// Handles `PUT /v1/specs/{id}`: JSON, or the content as YAML with `?description=&reason=`.
#[utoipa::path(
    put,
    path = "/v1/specs/{id}",
    operation_id = "update_spec",
    summary = "Add a version to the content",
    tag = "specs",
    params(SpecPath, UpdateParameters),
    request_body(content((UpdateBody = "application/json"), (String = "application/yaml"))),
    responses((status = 200, description = "The version was added", body = UpdatedBody)),
)]
pub async fn update(
    target: Target,
    Parameters(parameters): Parameters<UpdateParameters>,
    body: Body,
) -> ApiResult {
    let UpdateParameters {
        description,
        reason,
    } = parameters;
    let (content, description, reason) = match body {
        Body::Yaml(content) => (content.to_vec(), description, reason),
        Body::Json(bytes) => {
            reject_with_json(&[("description", &description), ("reason", &reason)])?;
            let body: UpdateBody = from_json(&bytes)?;
            (
                required(body.content, "content")?.into_bytes(),
                body.description,
                body.reason,
            )
        }
        Body::Empty => return Err(Problem::malformed("empty request body; send JSON or YAML")),
    };
    let Target { api, id, context } = &target;
    let new = NewVersion {
        content: &content,
        description,
        reason,
        expected_version: None,
    };
    let written = target
        .checked(api.specs.update(*id, new, context).await)
        .await?;
    let body = UpdatedBody {
        version: written.latest_version,
    };
    Ok((
        write_headers(written.revision, written.position),
        Json(body),
    )
        .into_response())
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublishBody {
    /// The version to publish, or the latest.
    #[schema(example = 1)]
    version: Option<u64>,
    /// The reason, for the history.
    reason: Option<String>,
}

/// The specification after a change of its state.
#[derive(Serialize, ToSchema)]
struct StateBody {
    /// The id of the specification.
    #[schema(format = Uuid)]
    id: String,
    /// The latest version.
    latest_version: u64,
    /// The version that was published last, if any.
    published_version: Option<u64>,
    /// The lifecycle state.
    #[schema(value_type = SpecStateName)]
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
#[utoipa::path(
    post,
    path = "/v1/specs/{id}/publish",
    operation_id = "publish_spec",
    summary = "Publish a version",
    tag = "specs",
    params(SpecPath),
    request_body(content = Option<PublishBody>),
    responses((status = 200, description = "The version is published", body = StateBody)),
)]
pub async fn publish(target: Target, _: NoParameters, body: Body) -> ApiResult {
    let PublishBody { version, reason } = body.object()?;
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.publish(*id, version, reason, context).await)
        .await?;
    Ok((
        write_headers(written.revision, written.position),
        Json(StateBody::from(written)),
    )
        .into_response())
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeprecateBody {
    /// The reason, with the replacement if there is one.
    #[schema(required, value_type = String, example = "Replaced by transfer-limits-2")]
    reason: Option<String>,
}

/// Handles `POST /v1/specs/{id}/deprecate`.
#[utoipa::path(
    post,
    path = "/v1/specs/{id}/deprecate",
    operation_id = "deprecate_spec",
    summary = "Deprecate a published specification",
    tag = "specs",
    params(SpecPath),
    request_body(content = DeprecateBody),
    responses((status = 200, description = "The specification is deprecated", body = StateBody)),
)]
pub async fn deprecate(target: Target, _: NoParameters, body: Body) -> ApiResult {
    let DeprecateBody { reason } = body.object()?;
    let reason = required(reason, "reason")?;
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.deprecate(*id, reason, context).await)
        .await?;
    Ok((
        write_headers(written.revision, written.position),
        Json(StateBody::from(written)),
    )
        .into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeleteParameters {
    /// The reason, for the history, if it is not in the body.
    reason: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    /// The reason, for the history.
    #[schema(example = "Created by mistake")]
    reason: Option<String>,
}

/// Handles `DELETE /v1/specs/{id}`, with the reason in the body or in `?reason=`.
///
/// Some clients cannot send a body.
#[utoipa::path(
    delete,
    path = "/v1/specs/{id}",
    operation_id = "delete_spec",
    summary = "Delete a specification",
    tag = "specs",
    params(SpecPath, DeleteParameters),
    request_body(content = Option<DeleteBody>),
    responses((status = 204, description = "The specification is deleted")),
)]
pub async fn delete(
    target: Target,
    Parameters(parameters): Parameters<DeleteParameters>,
    body: Body,
) -> ApiResult {
    let DeleteBody { reason } = body.object()?;
    if reason.is_some() && parameters.reason.is_some() {
        let detail = "reason in the body and in the query; send it once";
        return Err(Problem::malformed(detail));
    }
    let reason = reason.or(parameters.reason);
    let Target { api, id, context } = &target;
    let written = target
        .checked(api.specs.delete(*id, reason, context).await)
        .await?;
    let [_, position] = write_headers(written.revision, written.position);
    Ok((StatusCode::NO_CONTENT, [position]).into_response())
}

/// A revision that no specification has, so a write that expects it fails.
const NO_REVISION: u64 = 0;

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
        let CallContext(mut context) = CallContext::from_request_parts(parts, api).await?;
        let conditions = Conditions::from_request_parts(parts, api).await?;
        context.expected_revision = match conditions.expected_revision() {
            ExpectedRevision::Any => None,
            ExpectedRevision::Exact(revision) => Some(revision),
            ExpectedRevision::None => Some(NO_REVISION),
            ExpectedRevision::Compare => {
                let current = api.specs.get(id, None, &context).await?.revision;
                Some(current)
                    .filter(|current| conditions.hold_for(*current))
                    .or(Some(NO_REVISION))
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
            Err(AppError::RevisionMismatch { expected, actual }) if expected == NO_REVISION => {
                Err(Problem::unmet_condition(actual))
            }
            Err(error) => Err(write_problem(&self.api, self.id, error, &self.context).await),
        }
    }
}
