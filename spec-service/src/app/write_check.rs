//! [`WriteCheck`]: checks whether the store accepts writes.

use std::time::Duration;

use factum::Timestamp;
use factum::store::{DocumentChanges, Store, error_chain};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The key of the document that a check writes.
const KEY: &str = "spec-service/write-check";

/// The time for which a result is valid, so that many requests for the health do not cause many writes.
const VALIDITY: Duration = Duration::from_secs(1);

/// Checks whether the store accepts writes.
///
/// It writes a small document, because a full disk, for example, rejects nothing else.
#[derive(Debug, Default)]
pub struct WriteCheck(Mutex<Option<(Instant, Result<(), String>)>>);

impl WriteCheck {
    /// Returns the result of the last check, or of a new one if it is older than a second.
    ///
    /// # Errors
    /// Returns the reason why the store did not accept the write.
    pub async fn run(&self, store: &dyn Store) -> Result<(), String> {
        let mut last = self.0.lock().await;
        if let Some((checked, result)) = &*last
            && checked.elapsed() < VALIDITY
        {
            return result.clone();
        }
        let time = format!("\"{}\"", Timestamp::now());
        let written = store.change_documents(DocumentChanges::new().put(KEY, time));
        let result = written.await.map(drop);
        let result = result.map_err(|error| error_chain(&error));
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
