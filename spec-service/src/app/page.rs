//! [`PageQuery`] and [`ItemPage`]: the pages of ordered items.

use super::error::AppError;
use super::limits::{DEFAULT_LIMIT, MAX_LIMIT};

/// The selection of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery<C> {
    /// The maximum number of items in the page, from 1 to [`MAX_LIMIT`](super::MAX_LIMIT).
    pub limit: usize,
    /// The cursor after which the page starts. `None` means the first page.
    pub after: Option<C>,
}

impl<C> Default for PageQuery<C> {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }
}

/// A part of an ordered set of items.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemPage<T, C> {
    /// The items, oldest first.
    pub items: Vec<T>,
    /// The cursor of the next page. `None` means that this is the last page.
    pub next: Option<C>,
}

impl<C> PageQuery<C> {
    /// Checks the maximum number of items.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`] if it is 0 or above [`MAX_LIMIT`].
    pub fn check(&self) -> Result<(), AppError> {
        check_limit(self.limit)
    }
}

/// Checks the maximum number of items in a page.
///
/// # Errors
/// Returns [`AppError::InvalidLimit`] if it is 0 or above [`MAX_LIMIT`].
pub fn check_limit(limit: usize) -> Result<(), AppError> {
    match limit {
        1..=MAX_LIMIT => Ok(()),
        limit => Err(AppError::InvalidLimit { limit }),
    }
}
