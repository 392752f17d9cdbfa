//! The implementation of [`SnapshotStore`].

use async_trait::async_trait;
use factum_core::error::StoreError;
use factum_core::snapshot::{Snapshot, SnapshotStore};
use factum_core::stream_id::StreamId;
use factum_store_protocol::refusal::{RequestKind, store_error};
use factum_store_protocol::{document as messages, v1};

use crate::open::GrpcStore;

#[async_trait]
impl SnapshotStore for GrpcStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        snapshot.check()?;
        let request = v1::SaveSnapshotRequest {
            snapshot: Some(messages::snapshot_message(snapshot)),
        };
        let answer = self.state.clone().save_snapshot(request).await;
        answer
            .map(drop)
            .map_err(|status| store_error(status, RequestKind::Write))
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let request = v1::LoadSnapshotRequest {
            stream: stream.to_string(),
        };
        let answer = self.state.clone().load_snapshot(request).await;
        let answer = answer.map_err(|status| store_error(status, RequestKind::Read))?;
        let snapshot = answer
            .into_inner()
            .snapshot
            .map(messages::snapshot)
            .transpose();
        snapshot.map_err(|invalid| StoreError::Corrupt(invalid.to_string()))
    }

    async fn clear_snapshots(&self) -> Result<(), StoreError> {
        let answer = self
            .state
            .clone()
            .clear_snapshots(v1::ClearSnapshotsRequest {})
            .await;
        answer
            .map(drop)
            .map_err(|status| store_error(status, RequestKind::Write))
    }
}
