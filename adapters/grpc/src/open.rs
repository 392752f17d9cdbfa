//! [`GrpcStore`] and [`GrpcOptions`]: the connection to a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use factum_core::error::{BoxError, Outage, StoreError};
use factum_store_protocol::MAX_MESSAGE_BYTES;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::state_service_client::StateServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::append::Appender;
use crate::head::HeadWatch;

/// A store on a Factum event store server. Clones share one connection.
///
/// The connection is restored after a failure. An append whose answer was lost is [`StoreError::Interrupted`]; with an
/// idempotency key, it can be repeated safely.
#[derive(Clone)]
pub struct GrpcStore {
    pub(crate) events: EventStoreServiceClient<Channel>,
    pub(crate) state: StateServiceClient<Channel>,
    pub(crate) appender: Arc<Appender>,
    pub(crate) head: Arc<HeadWatch>,
}

/// The settings of a [`GrpcStore`].
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    url: String,
    connect_timeout: Duration,
}

impl GrpcOptions {
    /// Creates the settings for the server at `url`, for example `http://127.0.0.1:50051`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// Sets the time in which a connection must be established; the default is 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connects to the server. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// Returns [`StoreError::CannotOpen`] if the URL is not valid, and [`StoreError::Unavailable`] if the server cannot be
    /// reached.
    pub async fn open(self) -> Result<GrpcStore, StoreError> {
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|error| {
            let url = &self.url;
            StoreError::CannotOpen(format!("{url:?} is not a URL of a server: {error}"))
        })?;
        let endpoint = endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await;
        let channel = channel
            .map_err(|error| StoreError::Unavailable(Outage::from(BoxError::from(error))))?;
        let events = EventStoreServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let state = StateServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let appender = Appender::start(events.clone());
        let head = HeadWatch::start(events.clone()).await?;
        Ok(GrpcStore {
            events,
            state,
            appender: Arc::new(appender),
            head: Arc::new(head),
        })
    }
}

impl GrpcStore {
    /// Connects to the server at `url` with the default settings.
    ///
    /// # Errors
    /// Returns the errors of [`GrpcOptions::open`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        GrpcOptions::new(url).open().await
    }
}

impl fmt::Debug for GrpcStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcStore")
            .field("head", &self.head.position())
            .finish()
    }
}
