//! [`ExpectedVersion`] and [`AppendCondition`]: the checks of optimistic concurrency.

use crate::position::{Position, Version};
use crate::query::Query;

/// The version that a stream must have for an append to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Any version is accepted.
    Any,
    /// The stream must not exist: its version is 0.
    NoStream,
    /// The stream must exist: its version is 1 or more.
    StreamExists,
    /// The stream must have exactly this version.
    Exact(Version),
}

impl ExpectedVersion {
    /// Returns whether a stream at version `actual` is as expected.
    #[must_use]
    pub fn allows(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::ZERO,
            Self::StreamExists => actual > Version::ZERO,
            Self::Exact(version) => actual == version,
        }
    }
}

/// A condition for an append: no event after a position matches a query.
///
/// A dynamic consistency boundary (DCB) is enforced with it. A decision reads the events that match `query` up to the
/// position `after`. The append then fails if another writer has stored a matching event since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendCondition {
    /// The events that make the decision invalid.
    pub query: Query,
    /// The position up to which the decision has read.
    pub after: Position,
}
