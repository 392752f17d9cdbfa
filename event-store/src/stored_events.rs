//! [`are_stored()`]: compares the events of a repeated append with the stored ones.

use factum::store::{Read, RecordedEvent, Scope, Store, StoreError};

/// Returns whether `is_event` accepts the first `count` events of `read`.
///
/// It gets the index and the stored event, until it rejects one.
///
/// # Errors
/// Returns the error of the store.
pub async fn are_stored(
    store: &dyn Store,
    mut read: Read,
    count: usize,
    mut is_event: impl FnMut(usize, &RecordedEvent) -> bool,
) -> Result<bool, StoreError> {
    let mut next = 0;
    while next < count {
        let page = store.read(read.clone().limit(count - next)).await?;
        let Some(last) = page.events.last() else {
            return Ok(false);
        };
        read = match read.scope {
            Scope::Stream(_) => read.after(last.version),
            Scope::Streams(_) | Scope::All(_) => read.after(last.position),
        };
        for event in &page.events {
            if !is_event(next, event) {
                return Ok(false);
            }
            next += 1;
        }
    }
    Ok(true)
}
