//! The head of the log.

use factum::Position;
use factum::store::{MAX_PAGE, Query, Read, Store, StoreError};

/// Reads the head of the log.
///
/// # Errors
/// Returns the error of the store.
pub async fn read_head(store: &dyn Store) -> Result<Position, StoreError> {
    // A page without events has the head, too, and every caller may read it.
    let newest = Read::all(Query::none()).limit(1);
    Ok(store.read(newest).await?.head)
}

/// Returns whether the log has so many events after `position` that a subscription there has fallen behind.
///
/// A page that is followed by another one does not show it: one append can have several pages.
#[must_use]
pub fn is_behind(position: Position, head: Position) -> bool {
    head.get().saturating_sub(position.get()) > MAX_PAGE as u64
}
