//! The query parameters of pages.

use serde::Deserialize;

use super::number::{limit_or_default, query_number};
use crate::app::{AppError, Cursor, PageQuery};

/// The query parameters of a page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParameters {
    #[serde(default, deserialize_with = "query_number")]
    limit: Option<u64>,
    cursor: Option<String>,
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
