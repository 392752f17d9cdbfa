//! The page with the list of specifications.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::rest::Api;
use crate::specs::app::{ListQuery, SpecSummary};
use crate::specs::domain::SpecState;
use crate::web::failure::Failure;
use crate::web::frame::{Frame, page};
use crate::web::visitor::Visitor;

/// The number of specifications on a page.
const PAGE: usize = 25;

#[derive(Deserialize)]
pub struct ListParameters {
    state: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "specs/list.html")]
struct SpecsPage {
    frame: Frame,
    state: Option<SpecState>,
    specs: Vec<SpecSummary>,
    total: u64,
    next: Option<String>,
}

impl SpecsPage {
    fn total_text(&self) -> String {
        let noun = if self.total == 1 {
            "specification"
        } else {
            "specifications"
        };
        let state = self
            .state
            .map_or(String::new(), |state| format!("{state} "));
        format!("{} {state}{noun}, in the order of creation", self.total)
    }
}

/// Shows a page of the list.
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Failure> {
    let malformed = |error: String| Failure::new(StatusCode::BAD_REQUEST, error);
    let state = parameters.state.as_deref().map(str::parse::<SpecState>);
    let after = parameters.after.as_deref().map(str::parse);
    let state = state
        .transpose()
        .map_err(|error| malformed(error.to_string()))?;
    let query = ListQuery {
        state,
        limit: PAGE,
        after: after
            .transpose()
            .map_err(|error: crate::app::InvalidCursor| malformed(error.to_string()))?,
        min_position: None,
    };
    let found = api.specs.list(query).await?;
    let next = found.next.map(|cursor| match state {
        Some(state) => format!("/?state={state}&after={cursor}"),
        None => format!("/?after={cursor}"),
    });
    let list = SpecsPage {
        frame: visitor.frame("specs"),
        state,
        specs: found.specs,
        total: found.total,
        next,
    };
    Ok(page(StatusCode::OK, &list))
}
