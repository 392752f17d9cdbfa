//! [`StoreError`]: the failure of a backend.

use std::any::Any;

use crate::field::InvalidField;
use crate::position::Position;

/// A boxed error of any type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The failure of a backend.
///
/// The variant decides whether a caller may retry. Only [`Unavailable`](Self::Unavailable) guarantees that nothing was
/// done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was done, and a retry may succeed.
    ///
    /// For example, a lock was not released in time, or the server is not reachable.
    #[error("the store is unavailable and did nothing; retry later")]
    Unavailable(#[source] BoxError),
    /// The connection was lost before the answer arrived, and the request may have been carried out.
    #[error(
        "the connection to the store was lost before its answer arrived; the outcome is unknown"
    )]
    Interrupted(#[source] BoxError),
    /// The request failed, and a retry will not help.
    #[error("the store failed")]
    Failed(#[source] BoxError),
    /// The backend contains data that no store writes.
    #[error("the store contains corrupt data: {0}")]
    Corrupt(String),
    /// The data was written by a newer version of the adapter.
    #[error(
        "the store has schema version {found}, this program supports up to {known}; update the program"
    )]
    NewerSchema {
        /// The schema version of the store.
        found: u32,
        /// The newest schema version that this program supports.
        known: u32,
    },
    /// The request violates a rule that holds for every store; nothing was read or stored.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A reader continues after a position that the log does not have.
    ///
    /// The log was replaced or restored from a backup since the position was stored.
    #[error(
        "position {position} is beyond the head of the log: {head}; the log was replaced or restored from a backup, so \
         read it again from a position that it has"
    )]
    BeyondHead {
        /// The position after which the reader continues.
        position: Position,
        /// The position of the newest event.
        head: Position,
    },
    /// The store does not have this optional operation.
    #[error("the store does not support this operation: {operation}")]
    Unsupported {
        /// The operation, for example `import`.
        operation: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store cannot be opened as it was asked for.
    ///
    /// For example, the directory does not exist, or an option is not valid.
    #[error("cannot open the store: {0}")]
    CannotOpen(String),
    /// The store was opened to read only.
    #[error("the store was opened to read only; open it without `read_only` to write")]
    ReadOnly,
    /// The code of a SQL projection tried to write with anything but its own transaction.
    ///
    /// The write would wait for the transaction of the projection, and the transaction for the write.
    #[error(
        "a write inside of the projection {projection:?} would wait for itself; \
         use the `db` argument, or an event handler or a process manager"
    )]
    InsideProjection {
        /// The name of the projection.
        projection: &'static str,
    },
}

/// Returns the message of a panic.
#[doc(hidden)]
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no message"))
}

/// Returns the message of an error and of all its sources.
#[doc(hidden)]
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let sources = std::iter::successors(error.source(), |source| source.source());
    for source in sources.map(ToString::to_string) {
        // Some errors already include the message of their source.
        if !text.ends_with(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}
