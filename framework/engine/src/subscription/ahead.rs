//! [`Ahead`]: the next page, read while the present one is handled.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, debug_span};

use crate::error::StoreError;
use factum_core::read::{Page, Read};
use factum_core::store::EventStore;

/// A page on its way. Dropped, it is not read any further.
pub struct Ahead(JoinHandle<Result<Page, StoreError>>);

impl Ahead {
    /// Begins to read. `None`: there is no runtime here that could.
    pub fn begin(store: &Arc<dyn EventStore>, read: Read) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let store = store.clone();
        let span = debug_span!("read", after = read.cursor, ahead = true);
        let reading = async move { store.read(read).await }.instrument(span);
        Some(Self(runtime.spawn(reading)))
    }

    /// The page. `None`: it was not read to its end, and must be asked for again. Cancel safe.
    pub async fn page(&mut self) -> Option<Result<Page, StoreError>> {
        (&mut self.0).await.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}
