//! The native API: the services of `factum.store.v1` on a store.

mod append;
mod encoded_log;
mod groups;
mod read;
mod state;
mod subscribe;

use factum::store::MAX_APPEND;
use factum_server::trace::trace_parent;
use factum_store_protocol::refusal::{for_trailers, store_status};
use factum_store_protocol::v1::event_store_service_server::EventStoreService;
use factum_store_protocol::{MAX_MESSAGE_BYTES, encoded, v1};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::access::Stores;
use crate::log_head::read_head;
use crate::messages::Messages;
use crate::native::encoded_log::{EncodedLog, PageCache};

pub use groups::NativeGroups;

/// The services of the native API. A clone shares the store.
#[derive(Clone)]
pub struct Native {
    stores: Stores,
    backend: &'static str,
    pages: PageCache,
    /// Becomes `true` when the server stops. Calls without end then end.
    stop: watch::Receiver<bool>,
}

impl Native {
    /// Creates the services of the store in `stores`, whose backend has the name `backend`.
    #[must_use]
    pub fn new(stores: Stores, backend: &'static str, stop: watch::Receiver<bool>) -> Self {
        Self {
            stores,
            backend,
            pages: PageCache::default(),
            stop,
        }
    }
}

#[async_trait]
impl EventStoreService for Native {
    type AppendStreamStream = Messages<v1::AppendStreamResponse>;
    type ReadStreamStream = Messages<encoded::ReadStreamResponse>;
    type ReadAllStream = Messages<encoded::ReadAllResponse>;
    type SubscribeStream = Messages<encoded::SubscribeResponse>;
    type WatchHeadStream = Messages<v1::WatchHeadResponse>;

    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let trace_parent = trace_parent(request.metadata().as_ref()).map(str::to_owned);
        let appended = append::append(&*store, request.into_inner(), trace_parent.as_deref()).await;
        let appended = appended.map_err(for_trailers)?;
        Ok(Response::new(appended))
    }

    async fn append_stream(
        &self,
        request: Request<Streaming<v1::AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let trace_parent = trace_parent(request.metadata().as_ref()).map(str::to_owned);
        let answers = append::append_stream(store, request.into_inner(), trace_parent);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn find_append(
        &self,
        request: Request<v1::FindAppendRequest>,
    ) -> Result<Response<v1::FindAppendResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let found = append::find(&*store, request.into_inner()).await?;
        Ok(Response::new(found))
    }

    async fn import(
        &self,
        request: Request<v1::ImportRequest>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let imported = append::import(&*store, request.into_inner()).await;
        let imported = imported.map_err(for_trailers)?;
        Ok(Response::new(imported))
    }

    async fn read_stream(
        &self,
        request: Request<v1::ReadStreamRequest>,
    ) -> Result<Response<Self::ReadStreamStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let answers = read::stream(store, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn read_all(
        &self,
        request: Request<v1::ReadAllRequest>,
    ) -> Result<Response<Self::ReadAllStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let answers = read::all(store, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let log = self.stores.log_for_request(&request)?;
        let log = EncodedLog::new(log, self.pages.clone());
        let store = self.stores.for_request(&request)?;
        let head = read_head(&*store).await;
        let head = head.map_err(|error| store_status(&error))?;
        let stop = self.stop.clone();
        let answers = subscribe::subscribe(log, head, request.into_inner(), stop)?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn watch_head(
        &self,
        request: Request<v1::WatchHeadRequest>,
    ) -> Result<Response<Self::WatchHeadStream>, Status> {
        let store = self.stores.for_request(&request)?;
        let heads = subscribe::watch_head(&*store, request.get_ref(), self.stop.clone())?;
        Ok(Response::new(Box::pin(heads)))
    }

    async fn get_head(
        &self,
        request: Request<v1::GetHeadRequest>,
    ) -> Result<Response<v1::GetHeadResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let head = read_head(&*store).await;
        let position = head.map_err(|error| store_status(&error))?.get();
        Ok(Response::new(v1::GetHeadResponse { position }))
    }

    async fn list_streams(
        &self,
        request: Request<v1::ListStreamsRequest>,
    ) -> Result<Response<v1::ListStreamsResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let listed = read::list(&*store, request.into_inner()).await?;
        Ok(Response::new(listed))
    }

    async fn list_event_types(
        &self,
        request: Request<v1::ListEventTypesRequest>,
    ) -> Result<Response<v1::ListEventTypesResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let listed = read::event_types(&*store, request.into_inner()).await?;
        Ok(Response::new(listed))
    }

    async fn describe_stream(
        &self,
        request: Request<v1::DescribeStreamRequest>,
    ) -> Result<Response<v1::DescribeStreamResponse>, Status> {
        let store = self.stores.for_request(&request)?;
        let described = read::describe(&*store, request.into_inner()).await?;
        Ok(Response::new(described))
    }

    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        Ok(Response::new(v1::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: self.backend.to_owned(),
            features: ["groups", "import"].map(str::to_owned).to_vec(),
            max_append_events: MAX_APPEND as u64,
            max_message_bytes: MAX_MESSAGE_BYTES as u64,
        }))
    }
}
