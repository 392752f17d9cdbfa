//! [`StoreError`]: a backend failed.

use std::any::Any;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The backend failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing was done, and it may work when tried again: a lock was not free in time, there is no
    /// connection.
    #[error("the store is not available at the moment")]
    Unavailable(#[source] BoxError),
    /// The connection was lost on the way: what was asked may have been done.
    #[error("the connection to the store was lost before its answer came")]
    Interrupted(#[source] BoxError),
    /// Trying again will not help.
    #[error("the store failed")]
    Failed(#[source] BoxError),
    /// What the backend holds is not what a store writes.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// The data was written by a newer version of this adapter.
    #[error(
        "the store has schema version {found}, this code knows up to {known}: update the program"
    )]
    NewerSchema {
        /// The version found.
        found: u32,
        /// The newest version that this code knows.
        known: u32,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What a panic of a user's code says.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a text"))
}

/// An error with its causes.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    for cause in causes.map(ToString::to_string) {
        // Some errors repeat their cause.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
