//! [`Search`]: the function that both APIs call.

use std::sync::Arc;

use async_trait::async_trait;
use factum::Position;

use super::entry::{SearchDocument, SearchEntry};
use super::fields::Tier;
use super::filters::Filters;
use super::highlight::{Highlight, highlight};
use super::query::QueryError;
use super::query::TextQuery;
use crate::access::domain::TenantId;
use crate::app::{
    AppError, Application, Cursor, DEFAULT_LIMIT, InvalidCursor, Refusal, RefusalKind,
    RequestContext, check_limit,
};

impl Refusal for QueryError {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_query"
    }
}

/// A place between two pages of hits: the tier of the last hit, and the position of its creation.
pub type SearchCursor = Cursor<'s'>;

/// The number up to which hits are counted.
pub const MAX_TOTAL: u64 = 1_000;

/// The number of bits of the position in a cursor.
const CREATED_BITS: u32 = 60;

impl SearchCursor {
    /// Creates the cursor after a hit.
    fn after(tier: Tier, created: u64) -> Self {
        Self(tier.number() << CREATED_BITS | created)
    }

    /// Returns the tier of the hit.
    ///
    /// # Errors
    /// Returns [`InvalidCursor`] if the number has no such tier.
    pub(super) fn tier(self) -> Result<Tier, InvalidCursor> {
        Tier::from_number(self.0 >> CREATED_BITS)
            .ok_or_else(|| InvalidCursor::new(&self.to_string()))
    }

    /// Returns the position of the creation.
    pub(super) fn created(self) -> i64 {
        (self.0 & ((1 << CREATED_BITS) - 1)) as i64
    }
}

/// The selection of a page of hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// The words and phrases.
    pub text: TextQuery,
    /// The other conditions.
    pub filters: Filters,
    /// The maximum number of hits in the page, from 1 to [`MAX_LIMIT`](crate::app::MAX_LIMIT).
    pub limit: usize,
    /// The cursor after which the page starts.
    pub after: Option<SearchCursor>,
    /// The position that the index must have reached, from a write on any node.
    pub min_position: Option<Position>,
}

impl Default for SearchQuery {
    fn default() -> Self {
        Self {
            text: TextQuery::default(),
            filters: Filters::default(),
            limit: DEFAULT_LIMIT,
            after: None,
            min_position: None,
        }
    }
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// The hits of this page, best first.
    pub hits: Vec<SearchHit>,
    /// The number of hits on all pages, at most 1,000.
    pub total: u64,
    /// Whether `total` is the number of hits. Otherwise there are more.
    pub total_is_exact: bool,
    /// The cursor of the next page. `None` means that this is the last page.
    pub next: Option<SearchCursor>,
}

/// A specification that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The specification in its latest version.
    pub entry: SearchEntry,
    /// The name, if it has a term of the query.
    pub name: Option<Highlight>,
    /// The best line of the description, if it has a term of the query.
    pub description: Option<Highlight>,
    /// The best line of the latest content, if it has a term of the query.
    pub content: Option<Highlight>,
}

/// A row of the index.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRow {
    /// The quality of the hit.
    pub tier: Tier,
    /// The position of the creation.
    pub created: u64,
    /// The specification.
    pub document: SearchDocument,
}

/// The rows of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRows {
    /// The number of hits on all pages, at most one more than 1,000.
    pub total: u64,
    /// The rows, best first. There is one row more than the limit if there is a next page.
    pub rows: Vec<SearchRow>,
}

/// The read access to the search index.
#[async_trait]
pub trait SearchIndex: Send + Sync + 'static {
    /// Returns the rows of a page of the specifications of a tenant.
    ///
    /// # Errors
    /// Returns [`AppError::Unavailable`] or [`AppError::Internal`] if the database fails.
    async fn rows(&self, tenant: &TenantId, query: &SearchQuery) -> Result<SearchRows, AppError>;
}

/// A handle to the search index. Clones share it.
#[derive(Clone)]
pub struct Search {
    app: Application,
    index: Arc<dyn SearchIndex>,
}

impl Search {
    /// Creates a handle. The runtime of `app` must update `index`.
    #[must_use]
    pub fn new(app: Application, index: impl SearchIndex) -> Self {
        let index = Arc::new(index);
        Self { app, index }
    }

    /// Returns a page of the specifications of the tenant that match `query`.
    ///
    /// Specifications with all terms in the name come first, then those with all terms in the name, the description and
    /// the labels, then the others; of each, the newest first. The pages of a query neither repeat nor skip a
    /// specification that does not change.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`], [`AppError::Cursor`], [`AppError::ListBehind`] if the index does not reach
    /// the position in time, [`AppError::BeyondHead`] if the log does not have the position, or an error of the store.
    pub async fn page(
        &self,
        query: SearchQuery,
        context: &RequestContext,
    ) -> Result<SearchPage, AppError> {
        check_limit(query.limit)?;
        if let Some(position) = query.min_position {
            self.app.wait_until(position).await?;
        }
        let SearchRows { total, mut rows } = self.index.rows(context.tenant(), &query).await?;
        let has_next = rows.len() > query.limit;
        rows.truncate(query.limit);
        let last = rows.last().filter(|_| has_next);
        let next = last.map(|row| SearchCursor::after(row.tier, row.created));
        Ok(SearchPage {
            hits: rows
                .into_iter()
                .map(|row| hit(&query.text, row.document))
                .collect(),
            total: total.min(MAX_TOTAL),
            total_is_exact: total <= MAX_TOTAL,
            next,
        })
    }
}

fn hit(text: &TextQuery, document: SearchDocument) -> SearchHit {
    let SearchDocument { entry, content } = document;
    SearchHit {
        name: highlight(text, entry.name.as_str()),
        description: highlight(text, entry.description.as_deref().unwrap_or_default()),
        content: highlight(text, &content),
        entry,
    }
}
