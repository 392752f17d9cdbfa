//! [`WriteCheck`]: checks whether the store accepts writes.

use std::time::Duration;

use factum_core::document::DocumentChanges;
use factum_core::error::error_chain;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The time for which a result is valid, so that many requests for the health do not cause many writes.
const VALIDITY: Duration = Duration::from_secs(1);

/// Checks whether the store accepts writes.
///
/// It writes a small document, because a full disk, for example, rejects nothing else.
#[derive(Debug)]
pub struct WriteCheck {
    key: &'static str,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl WriteCheck {
    /// Creates a check that writes the document `key`.
    #[must_use]
    pub fn new(key: &'static str) -> Self {
        Self {
            key,
            last: Mutex::new(None),
        }
    }

    /// Returns the result of the last check, or of a new one if it is older than a second.
    ///
    /// # Errors
    /// Returns the reason why the store did not accept the write.
    pub async fn run(&self, store: &dyn Store) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((checked, result)) = &*last
            && checked.elapsed() < VALIDITY
        {
            return result.clone();
        }
        let time = format!("\"{}\"", Timestamp::now());
        let written = store.change_documents(DocumentChanges::new().put(self.key, time));
        let result = written.await.map(drop);
        let result = result.map_err(|error| error_chain(&error));
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
