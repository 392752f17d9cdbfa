//! [`ExpectedState`]: the state that a client expects of a stream.

use factum_compatible_protocols::kurrentdb::client::streams::{
    append_req, batch_append_req, batch_append_resp, delete_req, tombstone_req,
};

/// The state that a client expects of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedState {
    /// Every state.
    Any,
    /// The stream does not exist.
    NoStream,
    /// The stream exists.
    Exists,
    /// The last event of the stream has this revision.
    Revision(u64),
}

impl ExpectedState {
    /// Returns the number by which the protocol names the state.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::NoStream => -1,
            Self::Any => -2,
            Self::Exists => -4,
            Self::Revision(revision) => i64::try_from(revision).unwrap_or(i64::MAX),
        }
    }

    /// Returns the state of a number; `None` if the number names no state.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        match number {
            -1 => Some(Self::NoStream),
            -2 => Some(Self::Any),
            -4 => Some(Self::Exists),
            number => u64::try_from(number).ok().map(Self::Revision),
        }
    }
}

/// Converts the expectation of each request.
macro_rules! from_message {
    ($($message:ident)::+, $revision:ident) => {
        impl From<$($message)::+> for ExpectedState {
            fn from(message: $($message)::+) -> Self {
                match message {
                    $($message)::+::$revision(revision) => Self::Revision(revision),
                    $($message)::+::NoStream(_) => Self::NoStream,
                    $($message)::+::Any(_) => Self::Any,
                    $($message)::+::StreamExists(_) => Self::Exists,
                }
            }
        }
    };
}

from_message!(append_req::options::ExpectedStreamRevision, Revision);
from_message!(delete_req::options::ExpectedStreamRevision, Revision);
from_message!(tombstone_req::options::ExpectedStreamRevision, Revision);
from_message!(
    batch_append_req::options::ExpectedStreamPosition,
    StreamPosition
);

impl From<ExpectedState> for batch_append_resp::ExpectedStreamPosition {
    fn from(state: ExpectedState) -> Self {
        match state {
            ExpectedState::Any => Self::Any(()),
            ExpectedState::NoStream => Self::NoStream(()),
            ExpectedState::Exists => Self::StreamExists(()),
            ExpectedState::Revision(revision) => Self::StreamPosition(revision),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_the_states() {
        for state in [
            ExpectedState::Any,
            ExpectedState::NoStream,
            ExpectedState::Exists,
            ExpectedState::Revision(0),
            ExpectedState::Revision(7),
        ] {
            assert_eq!(ExpectedState::of_number(state.number()), Some(state));
        }
        assert_eq!(ExpectedState::of_number(-3), None);
    }
}
