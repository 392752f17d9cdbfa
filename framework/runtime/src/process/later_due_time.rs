//! The due time of a deadline that counts from the storage of an event.
//!
//! A decision does not know yet when its events are stored. Its deadlines are first due as if they were stored at once,
//! and are moved when they are due, if that was too early.

use factum_core::error::StoreError;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_core::timestamp::Timestamp;
use factum_engine::clock::{Clock as _, SharedClock};
use factum_engine::process::instance::PendingCommand;

/// Returns the due time of `pending`, if it is later than `now`.
///
/// Returns `None` for a due time that does not count from the storage of an event.
pub async fn later_due_time(
    store: &(impl EventStore + ?Sized),
    clock: &SharedClock,
    pending: &PendingCommand,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(counts_from) = &pending.counts_from else {
        return Ok(None);
    };
    let before = counts_from.version.get().saturating_sub(1);
    let read = Read::stream(counts_from.stream.clone())
        .after(before)
        .limit(1);
    let page = store.read(read).await?;
    let stored = page.events.first();
    let due = stored
        .filter(|event| Some(event.id) == pending.cause.event)
        .map(|event| clock.at_system_time(event.recorded_at) + counts_from.after);
    Ok(due.filter(|due| *due > now))
}
