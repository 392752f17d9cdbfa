//! The difference of two texts, line by line.

use std::time::Duration;

use similar::TextDiff;

/// The maximum time for the shortest difference.
///
/// After it, the rest of the difference is valid but longer.
const TIMEOUT: Duration = Duration::from_millis(200);

/// Returns the unified difference between two texts, or an empty text if they are equal.
///
/// `before_name` and `after_name` are the names in the header.
#[must_use]
pub fn unified(before: &str, after: &str, before_name: &str, after_name: &str) -> String {
    TextDiff::configure()
        .timeout(TIMEOUT)
        .diff_lines(before, after)
        .unified_diff()
        .header(before_name, after_name)
        .to_string()
}
