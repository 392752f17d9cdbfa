//! [`read_head`] and [`position_at`]: the position of the newest event, now and at a time.

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_core::timestamp::Timestamp;

/// Reads the position of the newest event.
///
/// The head that [`EventStore::watch`] returns may be older.
pub async fn read_head(store: &dyn EventStore) -> Result<Position, StoreError> {
    let read = Read::all(Query::all()).backward().limit(1);
    Ok(store.read(read).await?.head)
}

/// Returns the position of the newest event that was stored at `time` or before.
pub async fn position_at(store: &dyn EventStore, time: Timestamp) -> Result<Position, StoreError> {
    let mut read = Read::all(Query::all()).backward();
    loop {
        let page = store.read(read).await?;
        let found = page.events.iter().find(|event| event.recorded_at <= time);
        if let Some(found) = found {
            return Ok(found.position);
        }
        match page.events.last() {
            Some(oldest) if page.more => {
                read = Read::all(Query::all()).before(oldest.position);
            }
            _ => return Ok(Position::ZERO),
        }
    }
}
