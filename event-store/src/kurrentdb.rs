//! KurrentDB's protocol on the store: streams of version 1 and 2, persistent subscriptions, gossip, and the features of the
//! server.
//!
//! The revision of an event is its version minus 1. The commit position and the prepare position are its position. All other
//! services of the protocol answer UNIMPLEMENTED.

mod append;
mod authority;
mod batch_append;
mod delete;
mod errors;
mod event;
mod expected;
mod features;
mod filter;
mod gossip;
mod metadata;
mod origin;
mod persistent;
mod read;
mod repeated;
mod request;
mod stream_write;
mod subscription;
mod v2;
mod virtual_stream;
mod write;

use std::sync::Arc;

use factum::store::Store;
use factum_compatible_protocols::kurrentdb::client::gossip::ClusterInfo;
use factum_compatible_protocols::kurrentdb::client::gossip::gossip_server::{Gossip, GossipServer};
use factum_compatible_protocols::kurrentdb::client::server_features::SupportedMethods;
use factum_compatible_protocols::kurrentdb::client::server_features::server_features_server::{
    ServerFeatures, ServerFeaturesServer,
};
use factum_compatible_protocols::kurrentdb::client::streams::streams_server::{
    Streams, StreamsServer,
};
use factum_compatible_protocols::kurrentdb::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq,
    ReadResp, TombstoneReq, TombstoneResp, delete_resp, tombstone_resp,
};
use factum_compatible_protocols::kurrentdb::client::{Empty, StreamIdentifier};
use factum_compatible_protocols::kurrentdb::v2::streams::streams_service_server::{
    StreamsService, StreamsServiceServer,
};
use factum_compatible_protocols::kurrentdb::v2::streams::{
    AppendRecordsRequest, AppendRecordsResponse, AppendRequest, AppendSessionResponse,
};
use factum_store_protocol::MAX_MESSAGE_BYTES;
use tokio::sync::watch;
use tonic::codegen::http::uri::Authority;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

use crate::access::Stores;
use crate::messages::Messages;
pub use persistent::PersistentServices;

use authority::WithAuthority;
use delete::StreamRemoval;
use errors::Refused;
use expected::ExpectedState;
use request::{Extent, ReadOptions};

/// The services of KurrentDB's protocol. A clone shares the store.
#[derive(Clone)]
pub struct StreamServices {
    stores: Stores,
    /// Identifies this run of the server.
    node: Uuid,
    /// Becomes `true` when the server stops. Calls without end then end.
    stop: watch::Receiver<bool>,
}

impl StreamServices {
    /// Creates the services of the store in `stores`.
    #[must_use]
    pub fn new(stores: Stores, stop: watch::Receiver<bool>) -> Self {
        let node = factum::store::new_event_id();
        Self { stores, node, stop }
    }

    /// Adds the services to the routes of a server.
    pub fn add_to(self, routes: &mut RoutesBuilder) {
        let streams = StreamsServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let transactions = StreamsServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        routes
            .add_service(streams)
            .add_service(transactions)
            .add_service(WithAuthority(GossipServer::new(self.clone())))
            .add_service(ServerFeaturesServer::new(self));
    }

    async fn remove(
        &self,
        store: Arc<dyn Store>,
        stream: Option<StreamIdentifier>,
        expected: Option<ExpectedState>,
        removal: StreamRemoval,
    ) -> Result<u64, Status> {
        let removed = async {
            let stream = event::stream(stream)?;
            let missing = || Refused::Invalid("missing expected stream revision".to_owned());
            let expected = expected.ok_or_else(missing)?;
            delete::remove(&*store, &stream, expected, removal).await
        };
        let position = removed
            .await
            .map_err(|refused| refused.status(removal.operation()))?;
        Ok(position.get())
    }
}

#[async_trait]
impl Streams for StreamServices {
    type ReadStream = Messages<ReadResp>;
    type BatchAppendStream = Messages<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let refused = |refused: Refused| refused.status("Read");
        let request = ReadOptions::new(request.into_inner()).map_err(refused)?;
        let messages: Messages<ReadResp> = match request.extent {
            Extent::Count(count) => {
                Box::pin(read::read(store, request, count).await.map_err(refused)?)
            }
            Extent::Subscription => {
                let stop = self.stop.clone();
                subscription::subscribe(store, request, stop)
                    .await
                    .map_err(refused)?
            }
        };
        Ok(Response::new(messages))
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        let store = self.stores.for_request(&request)?;
        let appended = append::append(&*store, request.into_inner()).await?;
        Ok(Response::new(appended))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        let store = self.stores.for_request(&request)?;
        let options = request.into_inner().options.unwrap_or_default();
        let expected = options.expected_stream_revision.map(ExpectedState::from);
        let stream = options.stream_identifier;
        let position = self
            .remove(store, stream, expected, StreamRemoval::Delete)
            .await?;
        let position = delete_resp::Position {
            commit_position: position,
            prepare_position: position,
        };
        let position_option = Some(delete_resp::PositionOption::Position(position));
        Ok(Response::new(DeleteResp { position_option }))
    }

    async fn tombstone(
        &self,
        request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        let store = self.stores.for_request(&request)?;
        let options = request.into_inner().options.unwrap_or_default();
        let expected = options.expected_stream_revision.map(ExpectedState::from);
        let stream = options.stream_identifier;
        let position = self
            .remove(store, stream, expected, StreamRemoval::Tombstone)
            .await?;
        let position = tombstone_resp::Position {
            commit_position: position,
            prepare_position: position,
        };
        let position_option = Some(tombstone_resp::PositionOption::Position(position));
        Ok(Response::new(TombstoneResp { position_option }))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let answers = batch_append::batch_append(store, request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }
}

#[async_trait]
impl StreamsService for StreamServices {
    async fn append_session(
        &self,
        request: Request<Streaming<AppendRequest>>,
    ) -> Result<Response<AppendSessionResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let appended = v2::append_session(&*store, request.into_inner()).await?;
        Ok(Response::new(appended))
    }

    async fn append_records(
        &self,
        request: Request<AppendRecordsRequest>,
    ) -> Result<Response<AppendRecordsResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let appended = v2::append_records(&*store, request.into_inner()).await?;
        Ok(Response::new(appended))
    }
}

#[async_trait]
impl Gossip for StreamServices {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let authority = request.extensions().get::<Authority>();
        let cluster = gossip::cluster(self.node, authority, request.local_addr());
        Ok(Response::new(cluster))
    }
}

#[async_trait]
impl ServerFeatures for StreamServices {
    async fn get_supported_methods(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<SupportedMethods>, Status> {
        Ok(Response::new(features::supported_methods()))
    }
}
