//! The route of the search.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::{SearchCursor, SearchHit, SearchQuery};
use super::filters::{FilterValue, Filters};
use super::highlight::Highlight;
use crate::app::AppError;
use crate::rest::api::Api;
use crate::rest::conditions::Conditions;
use crate::rest::headers::{CallContext, MinPosition};
use crate::rest::input::Parameters;
use crate::rest::number::{limit_or_default, query_number, shortened};
use crate::rest::openapi::SpecStateName;
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::domain::SpecState;

/// Returns the routes of the search.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(search))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchParameters {
    /// The words that must all occur.
    ///
    /// `"…"` is a phrase, `-word` must not occur, `word*` is the start of a word.
    #[param(example = "limit*")]
    q: Option<String>,
    /// The state of the specifications. Without it, any state except deleted.
    #[param(value_type = Option<SpecStateName>)]
    state: Option<String>,
    /// The namespace.
    namespace: Option<String>,
    /// The name of the spec type.
    #[serde(rename = "type")]
    spec_type: Option<String>,
    /// A label.
    label: Option<String>,
    /// An owner.
    owner: Option<String>,
    /// The actor of the creation or of the last change.
    actor: Option<String>,
    /// The time of the last change is not before this time in RFC 3339.
    #[param(format = DateTime)]
    changed_since: Option<String>,
    /// The maximum number of hits, 50 by default.
    #[serde(default, deserialize_with = "query_number")]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// The `next_cursor` of the previous page of the same query.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct HitBody {
    /// The id of the specification.
    #[schema(format = Uuid)]
    id: String,
    /// The namespace.
    namespace: String,
    /// The name.
    name: String,
    /// The purpose, in the latest version.
    description: Option<String>,
    /// The latest version, which the search covers.
    latest_version: u64,
    /// The version that was published last, if any.
    published_version: Option<u64>,
    /// The lifecycle state.
    #[schema(value_type = SpecStateName)]
    state: SpecState,
    /// The time of the creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last change.
    #[schema(format = DateTime)]
    updated_at: String,
    /// The actor of the last change.
    updated_by: String,
    /// The best line of each text that has a term of the query.
    highlights: Vec<HighlightBody>,
}

#[derive(Serialize, ToSchema)]
struct HighlightBody {
    /// The text: `name`, `description` or `content`.
    field: &'static str,
    /// The number of the line, from 1.
    line: u64,
    /// The line, shortened if it is long, in parts.
    parts: Vec<PartBody>,
}

#[derive(Serialize, ToSchema)]
struct PartBody {
    /// The text.
    text: String,
    /// Whether the query looks for this part.
    #[serde(rename = "match")]
    is_match: bool,
}

#[derive(Serialize, ToSchema)]
struct SearchBody {
    /// The hits of this page, best first.
    hits: Vec<HitBody>,
    /// The number of hits on all pages, at most 1,000.
    total: u64,
    /// Whether `total` is the number of hits. Otherwise there are more.
    total_is_exact: bool,
    /// The cursor of the next page, or null on the last page.
    next_cursor: Option<String>,
}

/// Handles `GET /v1/search?q=&state=&…`: a page of the specifications that match, best first.
#[utoipa::path(
    get,
    path = "/v1/search",
    operation_id = "search_specs",
    summary = "Search specifications",
    tag = "search",
    params(SearchParameters),
    responses((status = 200, description = "A page of hits", body = SearchBody)),
)]
async fn search(
    State(api): State<Api>,
    MinPosition(min_position): MinPosition,
    Parameters(parameters): Parameters<SearchParameters>,
    CallContext(context): CallContext,
    conditions: Conditions,
) -> ApiResult {
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let cursor = non_empty(parameters.cursor.clone());
    let cursor = cursor.map(|cursor| cursor.parse::<SearchCursor>());
    let query = SearchQuery {
        text: parameters
            .q
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(AppError::from)?,
        limit: limit_or_default(parameters.limit),
        after: cursor.transpose().map_err(AppError::from)?,
        filters: filters(parameters)?,
        min_position,
    };
    let page = api.search.page(query, &context).await?;
    if let Some(response) = conditions.check_read(None)? {
        return Ok(response);
    }
    let body = SearchBody {
        hits: page.hits.into_iter().map(hit).collect(),
        total: page.total,
        total_is_exact: page.total_is_exact,
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

fn filters(parameters: SearchParameters) -> Result<Filters, Problem> {
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let state = non_empty(parameters.state).map(|state| state.parse::<SpecState>());
    let state = state.transpose();
    let since = non_empty(parameters.changed_since).map(|time| {
        time.parse().map_err(|_| {
            let time = shortened(&time);
            Problem::malformed(format!(
                "invalid query parameter: changed_since: {time:?}; expected a time in RFC 3339"
            ))
        })
    });
    let values = [
        non_empty(parameters.namespace).map(FilterValue::Namespace),
        non_empty(parameters.spec_type).map(FilterValue::Type),
        non_empty(parameters.label).map(FilterValue::Label),
        non_empty(parameters.owner).map(FilterValue::Owner),
        non_empty(parameters.actor).map(FilterValue::Actor),
    ];
    Ok(Filters {
        state: state.map_err(|error| Problem::malformed(error.to_string()))?,
        values: values.into_iter().flatten().collect(),
        changed_since: since.transpose()?,
    })
}

fn hit(hit: SearchHit) -> HitBody {
    let entry = hit.entry;
    let highlights = [
        ("name", hit.name),
        ("description", hit.description),
        ("content", hit.content),
    ];
    let highlights = highlights.into_iter();
    HitBody {
        id: entry.id.to_string(),
        namespace: entry.namespace.to_string(),
        name: entry.name.as_str().to_owned(),
        description: entry.description,
        latest_version: entry.latest_version,
        published_version: entry.published_version,
        state: entry.state,
        created_at: entry.created_at.to_string(),
        updated_at: entry.updated_at.to_string(),
        updated_by: entry.updated_by,
        highlights: highlights
            .filter_map(|(field, found)| Some(highlight(field, found?)))
            .collect(),
    }
}

fn highlight(field: &'static str, found: Highlight) -> HighlightBody {
    let parts = found.parts.into_iter().map(|part| PartBody {
        text: part.text,
        is_match: part.is_match,
    });
    HighlightBody {
        field,
        line: found.line,
        parts: parts.collect(),
    }
}
