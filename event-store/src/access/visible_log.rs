//! [`VisibleLog`]: the log as one caller may read it, for pages that callers share.

use std::sync::Arc;

use factum::Position;
use factum::store::{Page, Query, Read, Store, StoreError};
use tokio::sync::watch;

use super::principal::Principal;

/// The log as one caller may read it.
///
/// It separates the check of a read from the read itself: the result of a [`VisibleRead`] is the same for each caller, so that
/// callers can share it.
#[derive(Clone)]
pub struct VisibleLog {
    store: Arc<dyn Store>,
    caller: Principal,
}

/// A read that returns only events that its caller may read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VisibleRead(Read);

impl VisibleLog {
    pub(super) fn new(store: Arc<dyn Store>, caller: Principal) -> Self {
        Self { store, caller }
    }

    /// Checks the permissions of this moment, and restricts `read` to the events that the caller may read.
    ///
    /// # Errors
    /// Returns [`StoreError::Denied`] without a permission, and [`StoreError::Unauthenticated`] if the credentials are not
    /// valid any more.
    pub fn check(&self, read: Read) -> Result<VisibleRead, StoreError> {
        self.caller.visible(read).map(VisibleRead)
    }

    /// Reads a page.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn read(&self, read: VisibleRead) -> Result<Page, StoreError> {
        self.store.read(read.0).await
    }

    /// Reads the event after `position`, of any stream, to compare its id. The event must not be sent to the caller.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn event_after(&self, position: Position) -> Result<Page, StoreError> {
        let read = Read::all(Query::all()).after(position).limit(1);
        self.store.read(read).await
    }

    /// Returns a receiver that wakes when the head may have changed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}
