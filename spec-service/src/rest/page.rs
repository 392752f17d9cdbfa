//! The query parameters of pages.

use serde::Deserialize;
use utoipa::IntoParams;

use super::number::{limit_or_default, query_number};
use crate::app::{AppError, Cursor, PageQuery};

/// The query parameters of a page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParameters {
    /// The maximum number of items, 50 by default.
    #[serde(default, deserialize_with = "query_number")]
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u64>,
    /// The `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

impl PageParameters {
    /// Returns the selection. An empty cursor means the first page.
    pub fn query<const KIND: char>(&self) -> Result<PageQuery<Cursor<KIND>>, AppError> {
        let cursor = self.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        Ok(PageQuery {
            limit: limit_or_default(self.limit),
            after: cursor.map(str::parse).transpose()?,
        })
    }
}
