//! Conversions of the fields that several services have: pages and times.

use factum::Timestamp;

use crate::app::{AppError, Cursor, DEFAULT_LIMIT};

/// Converts the page size of a request. 0 means the default.
pub fn limit(page_size: u32) -> usize {
    match page_size {
        0 => DEFAULT_LIMIT,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    }
}

/// Converts the page token of a request. An empty token means the first page.
pub fn cursor<const KIND: char>(page_token: &str) -> Result<Option<Cursor<KIND>>, AppError> {
    match page_token {
        "" => Ok(None),
        token => Ok(Some(token.parse()?)),
    }
}

/// Converts the cursor of the next page. Empty means that there are no more pages.
pub fn page_token<const KIND: char>(next: Option<Cursor<KIND>>) -> String {
    next.map(|cursor| cursor.to_string()).unwrap_or_default()
}

/// Converts a time.
pub fn timestamp(time: Timestamp) -> Option<prost_types::Timestamp> {
    let micros = time.as_micros();
    Some(prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    })
}
