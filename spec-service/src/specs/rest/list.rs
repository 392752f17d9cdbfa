//! The list of specifications.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::domain::NamespaceId;
use crate::app::{AppError, AsOf};
use crate::rest::api::Api;
use crate::rest::conditions::Conditions;
use crate::rest::headers::{CallContext, MinPosition};
use crate::rest::input::Parameters;
use crate::rest::number::{limit_or_default, query_number};
use crate::rest::openapi::SpecStateName;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::app::{ListCursor, ListQuery, SpecSummary};
use crate::specs::domain::SpecState;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// The namespace of the specifications. Without it, all namespaces.
    namespace: Option<String>,
    /// The state of the specifications. Without it, any state except deleted.
    #[param(value_type = Option<SpecStateName>)]
    state: Option<String>,
    /// The maximum number of specifications, 50 by default.
    #[serde(default, deserialize_with = "query_number")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// A point in time: a position of the log, or a time in RFC 3339.
    at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SummaryBody {
    /// The id of the specification.
    #[schema(format = Uuid)]
    id: String,
    /// The namespace.
    namespace: String,
    /// The name.
    name: String,
    /// The purpose, in the published version, or in the latest if none was published.
    description: Option<String>,
    /// The latest version.
    latest_version: u64,
    /// The version that was published last, if any.
    published_version: Option<u64>,
    /// The lifecycle state.
    #[schema(value_type = SpecStateName)]
    state: SpecState,
    /// The time of the last change, except for new versions after the first publication.
    #[schema(format = DateTime)]
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
struct ListBody {
    /// The specifications, in the order of their creation.
    specs: Vec<SummaryBody>,
    /// The number of specifications on all pages. Absent for a point in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    total: Option<u64>,
    /// The cursor of the next page, or null on the last page.
    next_cursor: Option<String>,
}

/// Handles `GET /v1/specs`: a page of specifications in the order of creation.
///
/// Without a namespace, the specifications of all namespaces are listed; without a state, those in any state except deleted.
#[utoipa::path(
    get,
    path = "/v1/specs",
    operation_id = "list_specs",
    summary = "List specifications",
    tag = "specs",
    params(ListParameters),
    responses((status = 200, description = "A page of specifications", body = ListBody)),
)]
pub async fn list(
    State(api): State<Api>,
    CallContext(context): CallContext,
    MinPosition(min_position): MinPosition,
    Parameters(parameters): Parameters<ListParameters>,
    conditions: Conditions,
) -> ApiResult {
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let namespace = non_empty(parameters.namespace).map(|id| id.parse::<NamespaceId>());
    let state = non_empty(parameters.state).map(|state| state.parse::<SpecState>());
    let cursor = non_empty(parameters.cursor).map(|cursor| cursor.parse::<ListCursor>());
    let query = ListQuery {
        namespace: namespace
            .transpose()
            .map_err(|error| Problem::malformed(error.to_string()))?,
        state: state
            .transpose()
            .map_err(|error| Problem::malformed(error.to_string()))?,
        limit: limit_or_default(parameters.limit),
        after: cursor.transpose().map_err(AppError::from)?,
        min_position,
    };
    let (specs, total, next) =
        match AsOf::parse(parameters.at.as_deref()).map_err(AppError::from)? {
            AsOf::Now => {
                let page = api.specs.list(query, &context).await?;
                (page.specs, Some(page.total), page.next)
            }
            as_of => {
                let page = api.specs.list_as_of(as_of, query, &context).await?;
                (page.specs, None, page.next)
            }
        };
    if let Some(response) = conditions.check_read(None)? {
        return Ok(response);
    }
    let body = ListBody {
        specs: specs.into_iter().map(summary).collect(),
        total,
        next_cursor: next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

fn summary(spec: SpecSummary) -> SummaryBody {
    SummaryBody {
        id: spec.id.to_string(),
        namespace: spec.namespace.to_string(),
        name: spec.name.as_str().to_owned(),
        description: spec.description,
        latest_version: spec.latest_version,
        published_version: spec.published_version,
        state: spec.state,
        updated_at: spec.updated_at.to_string(),
    }
}
