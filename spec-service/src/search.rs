//! Full-text search over the specifications.

mod app;
mod entry;
mod fields;
mod filters;
mod grpc;
mod highlight;
mod match_text;
mod query;
mod rest;
mod table;
mod words;

pub use app::{
    Search, SearchCursor, SearchHit, SearchIndex, SearchPage, SearchQuery, SearchRow, SearchRows,
};
pub use entry::{SearchDocument, SearchEntry};
pub use fields::{SearchFields, Tier};
pub use filters::{FilterValue, Filters};
pub use grpc::SearchGrpc;
pub use highlight::{Highlight, HighlightPart};
pub use query::{MAX_QUERY, MAX_QUERY_WORDS, MIN_PREFIX, QueryError, Term, TextQuery};
pub use rest::routes;
#[cfg(test)]
pub(crate) use table::SELECT_SQLITE;
pub(crate) use table::{SearchTable, SearchTableIndex};
