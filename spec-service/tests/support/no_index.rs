//! A search index without specifications.

use async_trait::async_trait;
use spec_service::access::domain::TenantId;
use spec_service::app::AppError;
use spec_service::search::{SearchIndex, SearchQuery, SearchRows};

/// A search index that finds nothing.
pub struct NoIndex;

#[async_trait]
impl SearchIndex for NoIndex {
    async fn rows(&self, _: &TenantId, _: &SearchQuery) -> Result<SearchRows, AppError> {
        Ok(SearchRows {
            total: 0,
            rows: Vec::new(),
        })
    }
}
