//! [`ServerReadiness`]: whether the server can answer, as its store and its shutdown allow.

use std::sync::Arc;
use std::time::Duration;

use factum::store::Store;
use factum_server::write_check::WriteCheck;
use tokio::sync::watch;
use tokio::time::timeout;

/// The time in which the store must accept a write.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the server can answer. Clones share one state.
#[derive(Clone)]
pub struct ServerReadiness {
    store: Arc<dyn Store>,
    check: Arc<WriteCheck>,
    /// Becomes `true` when shutdown begins.
    stopping: watch::Receiver<bool>,
}

impl ServerReadiness {
    /// Creates the readiness of a server of `store`, which ends when `stopping` becomes `true`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, check: WriteCheck, stopping: watch::Receiver<bool>) -> Self {
        let check = Arc::new(check);
        Self {
            store,
            check,
            stopping,
        }
    }

    /// Ends the readiness when `stopping` becomes `true`.
    #[must_use]
    pub fn stopping(mut self, stopping: watch::Receiver<bool>) -> Self {
        self.stopping = stopping;
        self
    }

    /// Writes a document, at most once in a second, to see whether the store accepts writes.
    ///
    /// # Errors
    /// Returns the reason why the server cannot answer.
    pub async fn check(&self) -> Result<(), String> {
        if *self.stopping.borrow() {
            return Err("the server is stopping".to_owned());
        }
        match timeout(TIMEOUT, self.check.run(&*self.store)).await {
            Ok(written) => written,
            Err(_) => Err(format!("no answer of the store within {TIMEOUT:?}")),
        }
    }

    /// Waits until shutdown begins.
    pub async fn stopping_begins(&mut self) {
        // An error means that the sender was dropped.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}
