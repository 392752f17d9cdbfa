//! [`Conflict`]: the expectations of an append that the store does not meet.

use std::fmt;

use uuid::Uuid;

use super::condition::{AppendCondition, ExpectedVersion};
use crate::document::Revision;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The expectations of an append that the store does not meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Conflict {
    /// The violated expectations, at least one.
    pub violations: Vec<Violation>,
}

impl Conflict {
    /// Returns whether a document is at another revision.
    ///
    /// A retry with the current state of the streams does not resolve such a conflict.
    #[must_use]
    pub fn has_document_violation(&self) -> bool {
        let mut violations = self.violations.iter();
        violations.any(|violation| matches!(violation, Violation::Document { .. }))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conflict: ")?;
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

/// An expectation of an append that the store does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A stream is at another version.
    Version {
        /// The stream.
        stream: StreamId,
        /// The expected version.
        expected: ExpectedVersion,
        /// The actual version.
        actual: Version,
    },
    /// An event after the position of the append condition matches its query.
    Condition {
        /// The append condition.
        condition: AppendCondition,
        /// The position of the newest matching event.
        found: Position,
    },
    /// An event that the append [requires](crate::append::Append::requires) is not stored.
    ///
    /// A store may report only this violation.
    MissingEvent {
        /// The id of the event.
        id: Uuid,
    },
    /// A document is at another revision.
    ///
    /// A store checks documents after all other expectations, and reports only one of them.
    Document {
        /// The key of the document.
        key: String,
        /// The expected revision.
        expected: Revision,
        /// The actual revision; [`Revision::ABSENT`] if the document does not exist.
        actual: Revision,
    },
    /// The database rolled the append back because of a concurrent transaction.
    Transaction {
        /// The message of the database, with its error code.
        reason: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version {
                stream,
                expected,
                actual,
            } => {
                let expected = match expected {
                    ExpectedVersion::Any => "any version".to_owned(),
                    ExpectedVersion::NoStream => "no stream".to_owned(),
                    ExpectedVersion::StreamExists => "an existing stream".to_owned(),
                    ExpectedVersion::Exact(version) => format!("version {version}"),
                };
                write!(f, "{stream} is at version {actual}, expected {expected}")
            }
            Self::Condition { condition, found } => write!(
                f,
                "event at position {found} matches the append condition, expected no match after position {}",
                condition.after
            ),
            Self::MissingEvent { id } => write!(f, "required event {id} is not stored"),
            Self::Document {
                key,
                expected,
                actual,
            } => write!(
                f,
                "document {key:?} is at revision {actual}, expected revision {expected}"
            ),
            Self::Transaction { reason } => {
                write!(f, "concurrent transaction in the database: {reason}")
            }
        }
    }
}
