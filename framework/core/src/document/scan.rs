//! [`Scan`]: a range of documents.

use super::changes::MAX_KEY;
use crate::field::{InvalidField, check_text};

/// The maximum number of documents that one scan returns.
pub const MAX_SCAN: usize = 1_000;
/// The size of its values from which on a page of documents ends, in bytes: 16 MiB.
pub const MAX_SCAN_BYTES: usize = 16 * 1024 * 1024;

/// A range of documents whose keys begin with a prefix, in the byte order of their keys.
///
/// ```
/// use factum_core::document::Scan;
///
/// let scan = Scan::prefix("lease/").after("lease/a").limit(10);
/// assert_eq!(scan.end().as_deref(), Some("lease0"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The prefix of the keys.
    pub prefix: String,
    /// The key after which the scan begins; a document with this key need not exist.
    pub after: String,
    /// The maximum number of documents to return, 1 to [`MAX_SCAN`].
    pub limit: usize,
}

impl Scan {
    /// Creates a scan of all documents whose keys begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            after: String::new(),
            limit: MAX_SCAN,
        }
    }

    /// Begins the scan after `key`.
    #[must_use]
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.after = key.into();
        self
    }

    /// Sets the maximum number of documents, clamped to 1 to [`MAX_SCAN`].
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_SCAN);
        self
    }

    /// Checks the prefix and the first key; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidField`] if one of them is longer than a key, or has control characters.
    pub fn check(&self) -> Result<(), InvalidField> {
        check_text("prefix of document keys", &self.prefix, MAX_KEY)?;
        check_text("document key", &self.after, MAX_KEY)
    }

    /// Returns the first key after all keys with the prefix, for backends that query ranges.
    ///
    /// Returns `None` if there is no such key, for example if the prefix is empty.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        let mut end = self.prefix.clone();
        while let Some(last) = end.pop() {
            // `find_map` skips the surrogates, which are not scalar values.
            let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
            if let Some(next) = next {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}
