//! [`PagedLog`]: the log as a subscription reads it.

use std::sync::Arc;

use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::store::EventStore;
use tokio::sync::watch;

use crate::domain::error::StoreError;

/// A log whose pages are of any form, for a [`Subscription`](crate::subscription::Subscription).
pub trait PagedLog: Clone + Send + Sync + 'static {
    /// A page of events.
    type Page: LogPage;

    /// Reads one page of events.
    fn read(&self, read: Read) -> impl Future<Output = Result<Self::Page, StoreError>> + Send;

    /// Returns a receiver that wakes when the head may have changed.
    fn watch(&self) -> watch::Receiver<Position>;
}

/// A page of a [`PagedLog`].
pub trait LogPage: Send + 'static {
    /// Returns the position up to which the page is complete.
    fn through(&self) -> Position;

    /// Returns the head of the log when the page was read.
    fn head(&self) -> Position;

    /// Returns whether there may be more events after the last one.
    fn more(&self) -> bool;
}

/// The log of a store.
#[derive(Clone)]
pub struct StoreLog(Arc<dyn EventStore>);

impl From<Arc<dyn EventStore>> for StoreLog {
    fn from(store: Arc<dyn EventStore>) -> Self {
        Self(store)
    }
}

impl PagedLog for StoreLog {
    type Page = Page;

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.0.read(read).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.0.watch()
    }
}

impl LogPage for Page {
    fn through(&self) -> Position {
        Self::through(self)
    }

    fn head(&self) -> Position {
        self.head
    }

    fn more(&self) -> bool {
        self.more
    }
}
