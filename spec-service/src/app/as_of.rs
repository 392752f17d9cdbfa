//! [`AsOf`]: the point in time of a read.

use std::str::FromStr;

use factum::{Position, Timestamp};
use thiserror::Error;

use super::refusal::{Refusal, RefusalKind};

/// The point in time of a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AsOf {
    /// Now.
    #[default]
    Now,
    /// The state at this time, by the clock of the store. Events of this microsecond are included.
    Time(Timestamp),
    /// The state when the event at this position was the last one. A position in the future is an error.
    Position(Position),
}

/// The error of parsing an [`AsOf`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "invalid point in time: {0:?}; expected a position, or a time such as 2026-01-31T12:00:00Z"
)]
pub struct InvalidPointInTime(String);

impl Refusal for InvalidPointInTime {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_point_in_time"
    }

    fn field(&self) -> Option<&'static str> {
        Some("at")
    }
}

impl AsOf {
    /// Parses a point in time. A missing or empty text means now.
    ///
    /// # Errors
    /// Returns [`InvalidPointInTime`] if the text is neither a position nor a time.
    pub fn parse(text: Option<&str>) -> Result<Self, InvalidPointInTime> {
        match text {
            None | Some("") => Ok(Self::Now),
            Some(text) => text.parse(),
        }
    }
}

impl FromStr for AsOf {
    type Err = InvalidPointInTime;

    fn from_str(text: &str) -> Result<Self, InvalidPointInTime> {
        let invalid = || InvalidPointInTime(text.chars().take(40).collect());
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            let position = text
                .parse()
                .ok()
                .filter(|number: &u64| number.to_string() == text);
            return position
                .map(|number| Self::Position(Position::new(number)))
                .ok_or_else(invalid);
        }
        text.parse().map(Self::Time).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_in_time_is_a_position_or_a_time() {
        assert_eq!("17".parse(), Ok(AsOf::Position(Position::new(17))));
        assert_eq!("0".parse(), Ok(AsOf::Position(Position::ZERO)));
        let time = AsOf::Time(Timestamp::from_micros(1_500_000));
        assert_eq!("1970-01-01T00:00:01.5Z".parse(), Ok(time));
        assert_eq!("1970-01-01T01:00:01.5+01:00".parse(), Ok(time));
        for text in [
            "",
            "-1",
            "+1",
            "007",
            "99999999999999999999",
            "yesterday",
            "2026-01-31",
        ] {
            assert!(text.parse::<AsOf>().is_err(), "{text:?}");
        }
        let error = "now".parse::<AsOf>().unwrap_err().to_string();
        let expected = "invalid point in time: \"now\"; expected a position, or a time such as 2026-01-31T12:00:00Z";
        assert_eq!(error, expected);
    }
}
