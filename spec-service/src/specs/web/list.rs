//! The page with the list of specifications.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::access::domain::NamespaceId;
use crate::app::{AppError, InvalidCursor};
use crate::rest::Api;
use crate::specs::app::{ListQuery, SpecSummary};
use crate::specs::domain::SpecState;
use crate::web::failure::{FailedPage, page};
use crate::web::frame::Frame;
use crate::web::visitor::Visitor;

/// The number of specifications on a page.
const PAGE: usize = 25;

#[derive(Deserialize)]
pub struct ListFilters {
    namespace: Option<String>,
    state: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "specs/list.html")]
struct SpecsPage {
    frame: Frame,
    filters: SpecFilters,
    specs: Vec<SpecSummary>,
    total: u64,
    next: Option<String>,
}

/// The selection of the list.
struct SpecFilters {
    namespace: Option<NamespaceId>,
    state: Option<SpecState>,
}

impl SpecFilters {
    /// Returns the address of the list in another state, with the same namespace.
    fn address(&self, state: Option<SpecState>) -> String {
        let namespace = self.namespace.as_ref().map_or("", NamespaceId::as_str);
        match state {
            Some(state) => format!("/?namespace={namespace}&state={state}"),
            None => format!("/?namespace={namespace}"),
        }
    }
}

impl SpecsPage {
    fn total_text(&self) -> String {
        let noun = if self.total == 1 {
            "specification"
        } else {
            "specifications"
        };
        let state = self.filters.state;
        let state = state.map_or(String::new(), |state| format!("{state} "));
        let namespace = self.filters.namespace.as_ref();
        let place = namespace.map_or(String::new(), |name| format!(" in {name}"));
        format!(
            "{} {state}{noun}{place}, in the order of creation",
            self.total
        )
    }
}

/// Shows a page of the list.
pub async fn list(
    State(api): State<Api>,
    visitor: Visitor,
    Query(parameters): Query<ListFilters>,
) -> Result<Response, FailedPage> {
    let malformed = |error: String| FailedPage::new(StatusCode::BAD_REQUEST, error);
    let state = parameters.state.as_deref().map(str::parse::<SpecState>);
    let after = parameters.after.as_deref().map(str::parse);
    let state = state
        .transpose()
        .map_err(|error| malformed(error.to_string()))?;
    let namespace = parameters
        .namespace
        .as_deref()
        .filter(|name| !name.is_empty());
    let namespace = namespace.map(str::parse::<NamespaceId>);
    let namespace = namespace.transpose().map_err(AppError::from)?;
    let query = ListQuery {
        namespace: namespace.clone(),
        state,
        limit: PAGE,
        after: after
            .transpose()
            .map_err(|error: InvalidCursor| malformed(error.to_string()))?,
        min_position: None,
    };
    let found = api.specs.list(query, &visitor.context()).await?;
    let filters = SpecFilters { namespace, state };
    let next = found
        .next
        .map(|cursor| format!("{}&after={cursor}", filters.address(filters.state)));
    let list = SpecsPage {
        frame: visitor.frame("specs"),
        filters,
        specs: found.specs,
        total: found.total,
        next,
    };
    Ok(page(StatusCode::OK, &list))
}
