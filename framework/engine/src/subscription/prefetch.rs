//! [`Prefetch`]: the next page, read while the current one is processed.

use factum_core::read::Read;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, debug_span};

use crate::domain::error::StoreError;
use crate::subscription::paged_log::PagedLog;

/// A page that is read in the background. The read is cancelled when this is dropped.
pub struct Prefetch<P>(JoinHandle<Result<P, StoreError>>);

impl<P: Send + 'static> Prefetch<P> {
    /// Starts to read a page. Returns `None` outside of a Tokio runtime.
    pub fn start<L: PagedLog<Page = P>>(log: &L, read: Read) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let log = log.clone();
        let span = debug_span!("read", after = read.cursor, prefetch = true);
        let task = async move { log.read(read).await }.instrument(span);
        Some(Self(runtime.spawn(task)))
    }

    /// Waits for the page. Cancel safe.
    ///
    /// Returns `None` if the task was cancelled; the page must then be read again.
    pub async fn page(&mut self) -> Option<Result<P, StoreError>> {
        (&mut self.0).await.ok()
    }
}

impl<P> Drop for Prefetch<P> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
