//! Numbers in the path, the query and the headers.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};

use crate::app::DEFAULT_LIMIT;

/// Returns the first characters of a value of the caller, for an error message.
pub fn shortened(value: &str) -> String {
    const MAX: usize = 40;
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Parses a number without a sign and leading zeros, so that each number has one form.
pub fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Deserializes an optional number of the query, see [`number`].
pub fn query_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let invalid = || D::Error::custom(format!("{:?}; expected a number", shortened(&text)));
    number(&text).map(Some).ok_or_else(invalid)
}

/// Returns the page size of a request.
pub fn limit_or_default(limit: Option<u64>) -> usize {
    limit.map_or(DEFAULT_LIMIT, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
