//! The handlers that read one specification, its versions and its history.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{AppError, AsOf, RequestContext};
use crate::content::Content;
use crate::rest::api::Api;
use crate::rest::conditions::{Conditions, EntityTag};
use crate::rest::content_type::{YAML, prefers_yaml};
use crate::rest::headers::CallContext;
use crate::rest::input::{Id, Parameters, VersionNumber};
use crate::rest::number::query_number;
use crate::rest::openapi::{SpecPath, SpecStateName};
use crate::rest::page::PageParameters;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::app::{Change, SpecVersion, SpecView, Specs};
use crate::specs::domain::{SpecId, SpecRejection, SpecState};

#[derive(Serialize, ToSchema)]
struct SpecBody {
    /// The id of the specification.
    #[schema(format = Uuid)]
    id: String,
    /// The namespace.
    namespace: String,
    /// The name.
    name: String,
    /// The content, as YAML.
    content: String,
    /// The purpose of the specification, in this version.
    description: Option<String>,
    /// The version of the content.
    version: u64,
    /// The latest version.
    latest_version: u64,
    /// The version that was published last, if any.
    published_version: Option<u64>,
    /// The lifecycle state.
    #[schema(value_type = SpecStateName)]
    state: SpecState,
    /// The time of the creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last change of the state or of the shown version.
    #[schema(format = DateTime)]
    updated_at: String,
    /// The actor of the creation.
    created_by: String,
    /// The actor of the last change of the state or of the shown version.
    updated_by: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VersionParameter {
    /// The version of the content. Without it, the published version, or the latest if none is published.
    #[serde(default, deserialize_with = "query_number")]
    version: Option<u64>,
    /// A point in time: a position of the log, or a time in RFC 3339.
    at: Option<String>,
}

/// The query parameters of a page at a point in time.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PastPageParameters {
    /// The maximum number of items, 50 by default.
    #[serde(default, deserialize_with = "query_number")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// A point in time: a position of the log, or a time in RFC 3339.
    at: Option<String>,
}

impl PastPageParameters {
    /// Returns the specifications at the point in time, and the parameters of the page.
    fn split(self, api: &Api) -> Result<(Specs, PageParameters), AppError> {
        let specs = specs_at(api, self.at.as_deref())?;
        let page = PageParameters {
            limit: self.limit,
            cursor: self.cursor,
        };
        Ok((specs, page))
    }
}

/// The query parameter of a read at a point in time.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AtParameter {
    /// A point in time: a position of the log, or a time in RFC 3339.
    at: Option<String>,
}

/// Returns the specifications at the point in time of a request.
fn specs_at(api: &Api, at: Option<&str>) -> Result<Specs, AppError> {
    Ok(api.specs.as_of(AsOf::parse(at)?))
}

/// Handles `GET /v1/specs/{id}?version=&at=`: a specification with one version of its content.
#[utoipa::path(
    get,
    path = "/v1/specs/{id}",
    operation_id = "get_spec",
    summary = "Read a specification",
    tag = "specs",
    params(SpecPath, VersionParameter),
    responses(
        (status = 200, description = "The specification, or its content as YAML", content(
            (SpecBody = "application/json"),
            (String = "application/yaml"),
        )),
        (status = 304, description = "`If-None-Match` names the current representation"),
    ),
)]
pub async fn spec(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    Parameters(parameters): Parameters<VersionParameter>,
    conditions: Conditions,
    headers: HeaderMap,
) -> ApiResult {
    let specs = specs_at(&api, parameters.at.as_deref())?;
    let view = specs.get(id, parameters.version, &context).await?;
    if view.state == SpecState::Deleted {
        return Err(deleted(&view));
    }
    let yaml = prefers_yaml(&headers)?;
    let tag = if yaml {
        EntityTag::yaml
    } else {
        EntityTag::json
    }(view.revision);
    let vary = (header::VARY, "accept".to_owned());
    if let Some(response) = conditions.check_read(Some(&tag))? {
        return Ok(([vary], response).into_response());
    }
    let tag = tag.header();
    if yaml {
        return Ok(([tag], [vary], as_yaml(&view.content)).into_response());
    }
    let body = SpecBody {
        id: view.id.to_string(),
        namespace: view.namespace.to_string(),
        name: view.name.as_str().to_owned(),
        content: view.content.as_str().to_owned(),
        description: view.description,
        version: view.version,
        latest_version: view.latest_version,
        published_version: view.published_version,
        state: view.state,
        created_at: view.created_at.to_string(),
        updated_at: view.updated_at.to_string(),
        created_by: view.created_by,
        updated_by: view.updated_by,
    };
    Ok(([tag], [vary], Json(body)).into_response())
}

fn as_yaml(content: &Content) -> Response {
    ([(header::CONTENT_TYPE, YAML)], content.as_str().to_owned()).into_response()
}

/// Creates the 410 problem, with the time and the actor of the deletion.
fn deleted(view: &SpecView) -> Problem {
    let problem: Problem = AppError::from(SpecRejection::Deleted).into();
    problem
        .fact("deleted_at", view.updated_at.to_string())
        .fact("deleted_by", view.updated_by.clone())
}

/// Converts the error of a write. If the specification is deleted, adds the time and the actor.
pub async fn write_problem(
    api: &Api,
    id: SpecId,
    error: AppError,
    context: &RequestContext,
) -> Problem {
    if error.refusal() != Some(&SpecRejection::Deleted) {
        return error.into();
    }
    match api.specs.get(id, None, context).await {
        Ok(view) => deleted(&view),
        Err(error) => error.into(),
    }
}

#[derive(Serialize, ToSchema)]
struct VersionBody {
    /// The version of the content.
    version: u64,
    /// The content, as YAML.
    content: String,
    /// The purpose of the specification, in this version.
    description: Option<String>,
    /// The time of the creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The actor of the creation.
    created_by: String,
}

impl From<SpecVersion> for VersionBody {
    fn from(version: SpecVersion) -> Self {
        Self {
            version: version.version,
            content: version.content.as_str().to_owned(),
            description: version.description,
            created_at: version.created_at.to_string(),
            created_by: version.created_by,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct VersionsBody {
    /// The versions, oldest first.
    versions: Vec<VersionBody>,
    /// The cursor of the next page, or null on the last page.
    next_cursor: Option<String>,
}

/// Handles `GET /v1/specs/{id}/versions?limit=&cursor=&at=`: versions, oldest first.
///
/// The versions of a deleted specification are returned, too.
#[utoipa::path(
    get,
    path = "/v1/specs/{id}/versions",
    operation_id = "list_versions",
    summary = "List the versions of the content",
    tag = "specs",
    params(SpecPath, PastPageParameters),
    responses((status = 200, description = "A page of versions", body = VersionsBody)),
)]
pub async fn versions(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    Parameters(parameters): Parameters<PastPageParameters>,
    conditions: Conditions,
) -> ApiResult {
    let (specs, page) = parameters.split(&api)?;
    let page = specs.versions(id, page.query()?, &context).await?;
    if let Some(response) = conditions.check_read(None)? {
        return Ok(response);
    }
    let body = VersionsBody {
        versions: page.items.into_iter().map(VersionBody::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

/// Handles `GET /v1/specs/{id}/versions/{version}?at=`: one version, which never changes.
#[utoipa::path(
    get,
    path = "/v1/specs/{id}/versions/{version}",
    operation_id = "get_version",
    summary = "Read a version of the content",
    tag = "specs",
    params(
        SpecPath,
        ("version" = u64, Path, description = "The version of the content"),
        AtParameter,
    ),
    responses(
        (status = 200, description = "The version, or its content as YAML", content(
            (VersionBody = "application/json"),
            (String = "application/yaml"),
        )),
        (status = 304, description = "`If-None-Match` names the version"),
    ),
)]
pub async fn version(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    VersionNumber(number): VersionNumber,
    Parameters(parameters): Parameters<AtParameter>,
    conditions: Conditions,
    headers: HeaderMap,
) -> ApiResult {
    let specs = specs_at(&api, parameters.at.as_deref())?;
    let version = specs.version(id, number, &context).await?;
    let yaml = prefers_yaml(&headers)?;
    let suffix = if yaml { "-yaml" } else { "" };
    let tag = EntityTag::strong(format!("v{number}{suffix}"));
    let vary = (header::VARY, "accept".to_owned());
    if let Some(response) = conditions.check_read(Some(&tag))? {
        return Ok(([vary], response).into_response());
    }
    let headers = [vary, tag.header()];
    if yaml {
        return Ok((headers, as_yaml(&version.content)).into_response());
    }
    Ok((headers, Json(VersionBody::from(version))).into_response())
}

#[derive(Serialize, ToSchema)]
struct ChangeBody {
    /// The id of the event.
    #[schema(format = Uuid)]
    event_id: String,
    /// The type of the event, for example `spec.published`.
    event_type: String,
    /// The revision of the specification after the change.
    revision: u64,
    /// The position of the event in the log.
    position: u64,
    /// The time of the change.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// The caller.
    actor: String,
    /// The reason, if one was given.
    reason: Option<String>,
    /// The id that connects related requests.
    #[schema(format = Uuid)]
    correlation_id: Option<String>,
    /// The data of the event.
    payload: serde_json::Value,
}

#[derive(Serialize, ToSchema)]
struct HistoryBody {
    /// The changes, oldest first.
    events: Vec<ChangeBody>,
    /// The cursor of the next page, or null on the last page.
    next_cursor: Option<String>,
}

/// Handles `GET /v1/specs/{id}/history?limit=&cursor=&at=`: changes, oldest first.
///
/// The changes of a deleted specification are returned, too.
#[utoipa::path(
    get,
    path = "/v1/specs/{id}/history",
    operation_id = "get_history",
    summary = "List the changes of a specification",
    tag = "specs",
    params(SpecPath, PastPageParameters),
    responses((status = 200, description = "A page of changes", body = HistoryBody)),
)]
pub async fn history(
    State(api): State<Api>,
    CallContext(context): CallContext,
    Id(id): Id,
    Parameters(parameters): Parameters<PastPageParameters>,
    conditions: Conditions,
) -> ApiResult {
    let (specs, page) = parameters.split(&api)?;
    let page = specs.history(id, page.query()?, &context).await?;
    if let Some(response) = conditions.check_read(None)? {
        return Ok(response);
    }
    let body = HistoryBody {
        events: page.items.iter().map(change).collect::<Result<_, _>>()?,
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

fn change(change: &Change) -> Result<ChangeBody, AppError> {
    let record = &change.event.record;
    let payload = serde_json::from_slice(&record.data);
    Ok(ChangeBody {
        event_id: record.id.to_string(),
        event_type: record.name.to_string(),
        revision: record.version.get(),
        position: record.position.get(),
        occurred_at: record.recorded_at.to_string(),
        actor: change.actor(),
        reason: change.reason().map(str::to_owned),
        correlation_id: record.metadata.correlation_id.map(|id| id.to_string()),
        payload: payload.map_err(|error| AppError::Internal(error.into()))?,
    })
}
