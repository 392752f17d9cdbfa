//! Snapshots: the persisted state of an aggregate at a version.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::StoreError;
use crate::field::InvalidField;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The maximum size of the state in a snapshot, in bytes: 64 MiB.
pub const MAX_SNAPSHOT: usize = 64 * 1024 * 1024;

/// The state of an aggregate at a version, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream of the aggregate.
    pub stream: StreamId,
    /// The version of the stream.
    pub version: Version,
    /// The position of the event of that version.
    pub position: Position,
    /// The schema version of the state; a snapshot with another schema version than the code's is ignored.
    pub schema_version: u32,
    /// The state as JSON, at most [`MAX_SNAPSHOT`] bytes.
    pub data: Bytes,
}

impl Snapshot {
    /// Checks the size of the state; a store calls this first.
    ///
    /// # Errors
    /// Returns [`InvalidField`] if the state has more than [`MAX_SNAPSHOT`] bytes.
    pub fn check(&self) -> Result<(), InvalidField> {
        let bytes = self.data.len();
        match bytes > MAX_SNAPSHOT {
            true => Err(InvalidField::TooLarge {
                field: format!("snapshot of {}", self.stream).into(),
                bytes,
                limit: MAX_SNAPSHOT,
            }),
            false => Ok(()),
        }
    }
}

/// Stores the newest snapshot of each stream.
///
/// Snapshots only save time. If all of them are deleted, every result stays the same.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// Replaces an older snapshot of the same stream, and keeps a newer one.
    ///
    /// # Errors
    /// Returns [`StoreError::Invalid`] if the snapshot is too large, and another error if the backend fails. The engine
    /// then continues without the snapshot.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError>;

    /// Returns the newest snapshot of `stream`, or `None` if there is none.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails. The engine then loads all events instead.
    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Deletes all snapshots.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the backend fails.
    async fn clear_snapshots(&self) -> Result<(), StoreError>;
}
