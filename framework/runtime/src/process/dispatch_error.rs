//! [`DispatchError`]: the reason why due work was not done.

use factum_core::error::StoreError;

/// The reason why due work was not done.
#[derive(Debug)]
pub enum DispatchError {
    /// Another dispatcher has started.
    Fenced,
    /// A deadline is due, but earlier events must be processed first.
    EventsFirst,
    /// Another node executes the work.
    Conflict,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for DispatchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
