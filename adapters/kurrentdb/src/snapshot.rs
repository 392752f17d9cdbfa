//! The implementation of [`SnapshotStore`], which stores nothing.

use async_trait::async_trait;
use factum_core::error::StoreError;
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::stream_id::StreamId;

use crate::open::CompatibleStore;

/// The engine reads all events of a stream instead.
#[async_trait]
impl SnapshotStore for CompatibleStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let operation = "snapshots";
        Err(StoreError::Unsupported { operation })
    }

    async fn load_snapshot(&self, _stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
