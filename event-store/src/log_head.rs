//! The head of the log.

use factum::Position;
use factum::store::{Query, Read, Store, StoreError};

/// Reads the head of the log.
///
/// # Errors
/// Returns the error of the store.
pub async fn read_head(store: &dyn Store) -> Result<Position, StoreError> {
    // A page without events has the head, too, and every caller may read it.
    let newest = Read::all(Query::none()).limit(1);
    Ok(store.read(newest).await?.head)
}
