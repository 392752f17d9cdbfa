//! Snapshots: cached state at a version. Deleting every snapshot changes no answer.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The state of an aggregate at a version, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose state.
    pub stream: StreamId,
    /// At which version.
    pub version: Version,
    /// The position of the event of that version.
    pub position: Position,
    /// The version of the state's form; another than the code's makes the snapshot void.
    pub schema_version: u32,
    /// The state, as JSON.
    pub data: Bytes,
}

/// Keeps the newest snapshot of each stream.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// Keeps `snapshot` in place of an older one of its stream; a newer one is left alone.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails. The engine goes on without the snapshot.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError>;

    /// The newest snapshot of `stream`.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails. The engine replays instead.
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Forgets every snapshot.
    ///
    /// # Errors
    /// [`StoreError`] if the backend fails.
    async fn clear_snapshots(&self) -> Result<(), StoreError>;
}
