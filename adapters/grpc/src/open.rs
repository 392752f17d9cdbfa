//! [`GrpcStore`] and [`GrpcOptions`]: the connection to a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use factum_core::error::{BoxError, Outage, StoreError};
use factum_store_protocol::MAX_MESSAGE_BYTES;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::state_service_client::StateServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

use crate::append::Appender;
use crate::credentials::{AuthorizationHeader, Connection};
use crate::head::HeadWatch;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// A store on a Factum event store server. Clones share one connection.
///
/// The connection is restored after a failure. An append whose answer was lost is [`StoreError::Interrupted`]; with an
/// idempotency key, it can be repeated safely.
#[derive(Clone)]
pub struct GrpcStore {
    pub(crate) events: EventStoreServiceClient<Connection>,
    pub(crate) state: StateServiceClient<Connection>,
    pub(crate) appender: Arc<Appender>,
    pub(crate) head: Arc<HeadWatch>,
}

/// The settings of a [`GrpcStore`]: the address, the encryption and the credentials of the connection.
///
/// ```no_run
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// use factum_grpc::GrpcOptions;
///
/// let store = GrpcOptions::new("https://events.example:50051")
///     .ca_certificate(std::fs::read("ca.pem")?)
///     .basic("ada", std::env::var("EVENT_STORE_PASSWORD")?)
///     .open()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct GrpcOptions {
    url: String,
    connect_timeout: Duration,
    authorization: AuthorizationHeader,
    #[cfg(feature = "tls")]
    tls: ClientTls,
}

impl GrpcOptions {
    /// Creates the settings for the server at `url`, for example `http://127.0.0.1:50051`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(10),
            authorization: AuthorizationHeader::default(),
            #[cfg(feature = "tls")]
            tls: ClientTls::default(),
        }
    }

    /// Sends a token with each call, as `authorization: Bearer TOKEN`.
    ///
    /// Credentials are sent over TLS only, or to a server on the same machine.
    #[must_use]
    pub fn token(mut self, token: impl AsRef<str>) -> Self {
        self.authorization = AuthorizationHeader::bearer(token.as_ref());
        self
    }

    /// Sends a user and a password with each call, as `authorization: Basic …` (RFC 7617).
    ///
    /// Credentials are sent over TLS only, or to a server on the same machine.
    #[must_use]
    pub fn basic(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.authorization = AuthorizationHeader::basic(user.as_ref(), password.as_ref());
        self
    }

    /// Trusts the certificate authorities in `pem` in the place of those of the operating system.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// Sends a certificate to a server that requires one: the certificate and its key in PEM.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Sets the name that the certificate of the server must have; the default is the host of the address.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
        self
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
    /// - [`StoreError::CannotOpen`] if the URL, a certificate or a key is not valid, if a setting of TLS is used without
    ///   `https://`, or if credentials would be sent without encryption.
    /// - [`StoreError::Unavailable`] if the server cannot be reached, or one of both certificates is rejected.
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
        self.authorization.check(endpoint.uri())?;
        #[cfg(feature = "tls")]
        let endpoint = self.tls.configure(endpoint)?;
        let channel = endpoint.connect().await;
        let channel = channel
            .map_err(|error| StoreError::Unavailable(Outage::from(BoxError::from(error))))?;
        let connection = InterceptedService::new(channel, self.authorization);
        let events = EventStoreServiceClient::new(connection.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let state = StateServiceClient::new(connection)
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

impl fmt::Debug for GrpcOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcOptions")
            .field("url", &self.url)
            .field("connect_timeout", &self.connect_timeout)
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GrpcStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcStore")
            .field("head", &self.head.position())
            .finish()
    }
}
