//! Documents and snapshots.

use factum::StreamId;
use factum::store::{MAX_SCAN, Scan};
use factum_store_protocol::document as messages;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::refusal::{document_status, invalid_status, store_status};
use factum_store_protocol::v1;
use factum_store_protocol::v1::state_service_server::StateService;
use futures_util::{StreamExt as _, stream};
use tonic::{Request, Response, Status, async_trait};

use super::Native;
use crate::messages::Messages;
use crate::split::split;

#[async_trait]
impl StateService for Native {
    type FindDocumentsStream = Messages<v1::FindDocumentsResponse>;
    type ScanDocumentsStream = Messages<v1::ScanDocumentsResponse>;

    async fn change_documents(
        &self,
        request: Request<v1::ChangeDocumentsRequest>,
    ) -> Result<Response<v1::ChangeDocumentsResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let changes = messages::changes("changes", request.into_inner().changes);
        let changes = changes.map_err(|invalid| invalid_status(&invalid))?;
        let revision = store.change_documents(changes).await;
        let revision = revision.map_err(document_status)?.get();
        Ok(Response::new(v1::ChangeDocumentsResponse { revision }))
    }

    async fn find_documents(
        &self,
        request: Request<v1::FindDocumentsRequest>,
    ) -> Result<Response<Self::FindDocumentsStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let found = store.find_documents(&request.get_ref().keys).await;
        let found = found.map_err(|error| store_status(&error))?;
        let found = found.into_iter().map(messages::to_message);
        let parts = split(found, usize::MAX, |document| document.value.len());
        let parts =
            stream::iter(parts).map(|documents| Ok(v1::FindDocumentsResponse { documents }));
        Ok(Response::new(Box::pin(parts)))
    }

    async fn scan_documents(
        &self,
        request: Request<v1::ScanDocumentsRequest>,
    ) -> Result<Response<Self::ScanDocumentsStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let request = request.into_inner();
        let limit = match request.limit {
            0 => MAX_SCAN,
            limit => limit as usize,
        };
        let scan = Scan::prefix(request.prefix)
            .after(request.after)
            .limit(limit);
        let found = store.scan_documents(scan).await;
        let found = found.map_err(|error| store_status(&error))?;
        let found = found.into_iter().map(messages::to_message);
        let parts = split(found, usize::MAX, |document| document.value.len());
        let parts =
            stream::iter(parts).map(|documents| Ok(v1::ScanDocumentsResponse { documents }));
        Ok(Response::new(Box::pin(parts)))
    }

    async fn save_snapshot(
        &self,
        request: Request<v1::SaveSnapshotRequest>,
    ) -> Result<Response<v1::SaveSnapshotResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let snapshot = request.into_inner().snapshot;
        let snapshot = snapshot.ok_or_else(|| InvalidMessage::missing("snapshot"));
        let snapshot = snapshot
            .and_then(messages::snapshot)
            .map_err(|invalid| invalid_status(&invalid))?;
        let saved = store.save_snapshot(snapshot).await;
        saved.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::SaveSnapshotResponse {}))
    }

    async fn load_snapshot(
        &self,
        request: Request<v1::LoadSnapshotRequest>,
    ) -> Result<Response<v1::LoadSnapshotResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let stream = StreamId::try_from(request.into_inner().stream);
        let invalid = |error: factum::store::InvalidStreamId| {
            invalid_status(&InvalidMessage::new("stream", error.rule))
        };
        let snapshot = store.load_snapshot(&stream.map_err(invalid)?).await;
        let snapshot = snapshot.map_err(|error| store_status(&error))?;
        let snapshot = snapshot.map(messages::snapshot_message);
        Ok(Response::new(v1::LoadSnapshotResponse { snapshot }))
    }

    async fn clear_snapshots(
        &self,
        request: Request<v1::ClearSnapshotsRequest>,
    ) -> Result<Response<v1::ClearSnapshotsResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let cleared = store.clear_snapshots().await;
        cleared.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::ClearSnapshotsResponse {}))
    }
}
