//! UmaDB's protocol: the service `umadb.v1.DCB` on the log of the store.
//!
//! Events that its clients append are in the streams of the category `umadb`. Its clients read the events of all streams.

mod append;
mod error;
mod event;
mod query;
mod read;
mod streams;
mod subscribe;
mod tracking;

use std::sync::Arc;

use factum::store::Store;
use factum_compatible_protocols::umadb;
use factum_compatible_protocols::umadb::dcb_server::Dcb;
use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};

use crate::access::Stores;
use crate::messages::Messages;
use crate::umadb::error::compatible;
use crate::umadb::streams::AppendStreams;

/// The service of UmaDB's protocol. A clone shares the store.
#[derive(Clone)]
pub struct UmaDb {
    stores: Stores,
    streams: Arc<AppendStreams>,
    /// Becomes `true` when the server stops. Calls without end then end.
    stop: watch::Receiver<bool>,
}

impl UmaDb {
    /// Creates the service of the store in `stores`.
    #[must_use]
    pub fn new(stores: Stores, stop: watch::Receiver<bool>) -> Self {
        Self {
            stores,
            streams: Arc::default(),
            stop,
        }
    }

    fn store<T>(&self, request: &Request<T>) -> Result<Arc<dyn Store>, Status> {
        self.stores.for_request(request).map_err(compatible)
    }
}

#[async_trait]
impl Dcb for UmaDb {
    type ReadStream = Messages<umadb::ReadResponse>;
    type SubscribeStream = Messages<umadb::SubscribeResponse>;

    async fn read(
        &self,
        request: Request<umadb::ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let store = self.store(&request)?;
        let answers = read::read(store, request.into_inner()).await?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn subscribe(
        &self,
        request: Request<umadb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let store = self.store(&request)?;
        let answers = subscribe::subscribe(store, request.into_inner(), self.stop.clone());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn append(
        &self,
        request: Request<umadb::AppendRequest>,
    ) -> Result<Response<umadb::AppendResponse>, Status> {
        let store = self.store(&request)?;
        let position = append::append(&store, self.streams.next(), request.into_inner()).await?;
        Ok(Response::new(umadb::AppendResponse { position }))
    }

    async fn head(
        &self,
        request: Request<umadb::HeadRequest>,
    ) -> Result<Response<umadb::HeadResponse>, Status> {
        let store = self.store(&request)?;
        let position = read::head(&*store).await?;
        Ok(Response::new(umadb::HeadResponse { position }))
    }

    async fn get_tracking_info(
        &self,
        request: Request<umadb::TrackingRequest>,
    ) -> Result<Response<umadb::TrackingResponse>, Status> {
        let store = self.store(&request)?;
        let position = tracking::recorded(&*store, &request.get_ref().source).await?;
        Ok(Response::new(umadb::TrackingResponse { position }))
    }
}
