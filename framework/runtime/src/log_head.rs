//! [`read_head`]: the position of the newest event.

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::Store;

/// Reads the position of the newest event.
pub async fn read_head(store: &dyn Store) -> Result<Position, StoreError> {
    let read = Read::all(Query::all()).backward().limit(1);
    Ok(store.read(read).await?.head)
}
