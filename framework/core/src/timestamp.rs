//! [`Timestamp`]: a point in time.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time in UTC, with microsecond precision.
///
/// Every backend stores this precision without loss. A timestamp prints and parses as RFC 3339, for example
/// `2026-11-20T08:15:30.123456Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// Returns the current time, by the clock of this machine.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        // An `i64` of microseconds covers 292,000 years.
        Self::from_micros(since.as_secs() as i64 * 1_000_000 + i64::from(since.subsec_micros()))
    }

    /// Creates a timestamp from the microseconds since 1970-01-01T00:00:00Z.
    ///
    /// The result is clamped to the years −9999 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        let end = if micros < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        Self::from_jiff(jiff::Timestamp::from_microsecond(micros).unwrap_or(end))
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.as_micros().saturating_sub(earlier.as_micros());
        Duration::from_micros(micros.try_into().unwrap_or(0))
    }

    fn from_jiff(time: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Returns the time after a duration, with microsecond precision and at most the end of the year 9999.
    fn add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_add(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        text.parse()
            .map(Self::from_jiff)
            .map_err(|source| InvalidTimestamp {
                value: text.chars().take(80).collect(),
                source,
            })
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// The error for a text that is not a valid timestamp.
#[derive(Debug, thiserror::Error)]
#[error("invalid timestamp {value:?}: expected RFC 3339, for example `2026-11-20T08:15:30Z`")]
pub struct InvalidTimestamp {
    /// The text, truncated to 80 characters.
    pub value: String,
    source: jiff::Error,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}
