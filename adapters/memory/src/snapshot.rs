//! The implementation of [`SnapshotStore`], with the snapshots in a map.

use async_trait::async_trait;
use factum_core::error::StoreError;
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::stream_id::StreamId;

use crate::MemoryStore;

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let mut snapshots = self.snapshots();
        let stored = snapshots.get(&snapshot.stream);
        if stored.is_none_or(|stored| stored.version <= snapshot.version) {
            snapshots.insert(snapshot.stream.clone(), snapshot);
        }
        Ok(())
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.snapshots().get(stream).cloned())
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        self.snapshots().clear();
        Ok(())
    }
}
