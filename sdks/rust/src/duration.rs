//! Durations in messages.

use std::time::Duration;

/// Converts a duration into a message; a longer one than the message can hold becomes the longest one.
pub fn duration(duration: Duration) -> prost_types::Duration {
    let longest = prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    };
    duration.try_into().unwrap_or(longest)
}
