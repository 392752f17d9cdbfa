//! The list of specifications.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};

use crate::app::AppError;
use crate::rest::api::Api;
use crate::rest::conditions::Conditions;
use crate::rest::headers::MinPosition;
use crate::rest::input::Parameters;
use crate::rest::number::{limit_or_default, query_number};
use crate::rest::problem::{ApiResult, Problem};
use crate::specs::app::{ListCursor, ListQuery, SpecSummary};
use crate::specs::domain::SpecState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    state: Option<String>,
    #[serde(default, deserialize_with = "query_number")]
    limit: Option<u64>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct SummaryBody {
    id: String,
    name: String,
    description: Option<String>,
    latest_version: u64,
    published_version: Option<u64>,
    state: SpecState,
    updated_at: String,
}

#[derive(Serialize)]
struct ListBody {
    specs: Vec<SummaryBody>,
    total: u64,
    next_cursor: Option<String>,
}

/// Handles `GET /v1/specs?state=&limit=&cursor=`: a page of specifications in the order of creation.
///
/// Without a state, specifications in any state except deleted are listed.
pub async fn list(
    State(api): State<Api>,
    MinPosition(min_position): MinPosition,
    Parameters(parameters): Parameters<ListParameters>,
    conditions: Conditions,
) -> ApiResult {
    let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let state = non_empty(parameters.state).map(|state| state.parse::<SpecState>());
    let cursor = non_empty(parameters.cursor).map(|cursor| cursor.parse::<ListCursor>());
    let query = ListQuery {
        state: state
            .transpose()
            .map_err(|error| Problem::malformed(error.to_string()))?,
        limit: limit_or_default(parameters.limit),
        after: cursor.transpose().map_err(AppError::from)?,
        min_position,
    };
    let page = api.specs.list(query).await?;
    if let Some(response) = conditions.check_read(None)? {
        return Ok(response);
    }
    let body = ListBody {
        specs: page.specs.into_iter().map(summary).collect(),
        total: page.total,
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(body).into_response())
}

fn summary(spec: SpecSummary) -> SummaryBody {
    SummaryBody {
        id: spec.id.to_string(),
        name: spec.name.as_str().to_owned(),
        description: spec.description,
        latest_version: spec.latest_version,
        published_version: spec.published_version,
        state: spec.state,
        updated_at: spec.updated_at.to_string(),
    }
}
