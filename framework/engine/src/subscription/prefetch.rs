//! [`Prefetch`]: the next page, read while the current one is processed.

use std::sync::Arc;

use factum_core::read::{Page, Read};
use factum_core::store::EventStore;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, debug_span};

use crate::domain::error::StoreError;

/// A page that is read in the background. The read is cancelled when this is dropped.
pub struct Prefetch(JoinHandle<Result<Page, StoreError>>);

impl Prefetch {
    /// Starts to read a page. Returns `None` outside of a Tokio runtime.
    pub fn start(store: &Arc<dyn EventStore>, read: Read) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let store = store.clone();
        let span = debug_span!("read", after = read.cursor, prefetch = true);
        let task = async move { store.read(read).await }.instrument(span);
        Some(Self(runtime.spawn(task)))
    }

    /// Waits for the page. Cancel safe.
    ///
    /// Returns `None` if the task was cancelled; the page must then be read again.
    pub async fn page(&mut self) -> Option<Result<Page, StoreError>> {
        (&mut self.0).await.ok()
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
