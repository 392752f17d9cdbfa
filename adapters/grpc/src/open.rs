//! [`GrpcStore`] and [`GrpcOptions`]: the connection to a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use factum_core::error::{StoreError, error_chain};
use factum_store_client::{ClientOptions, Connection, InvalidOptions, ServerTls};
use factum_store_protocol::MAX_MESSAGE_BYTES;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::state_service_client::StateServiceClient;

use crate::append::Appender;
use crate::head::HeadWatch;

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
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    client: ClientOptions,
    tls: Option<ServerTls>,
}

impl GrpcOptions {
    /// Creates the settings for the server at `url`.
    ///
    /// An example is `http://127.0.0.1:50051`, or `https://…` with TLS.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            client: ClientOptions::new(url),
            tls: None,
        }
    }

    /// Sends a token with each call, as `authorization: Bearer TOKEN`.
    ///
    /// Credentials are sent over TLS only, or to a server on the same machine.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.with_client(|client| client.token(token))
    }

    /// Sends a user and a password with each call, as `authorization: Basic …` (RFC 7617).
    ///
    /// Credentials are sent over TLS only, or to a server on the same machine.
    #[must_use]
    pub fn basic(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.with_client(|client| client.basic(user, password))
    }

    /// Trusts the certificate authorities in `pem` in the place of those of the operating system.
    #[must_use]
    pub fn ca_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_tls(|tls| tls.ca(pem))
    }

    /// Sends a certificate to a server that requires one: the certificate and its key in PEM.
    #[must_use]
    pub fn client_certificate(
        self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.with_tls(|tls| tls.identity(certificate, key))
    }

    /// Sets the name that the certificate of the server must have; the default is the host of the address.
    #[must_use]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        self.with_tls(|tls| tls.server_name(name))
    }

    /// Sets the time in which a connection must be established; the default is 10 seconds.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with_client(|client| client.connect_timeout(timeout))
    }

    fn with_client(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.client = change(self.client);
        self
    }

    fn with_tls(mut self, change: impl FnOnce(ServerTls) -> ServerTls) -> Self {
        self.tls = Some(change(self.tls.unwrap_or_default()));
        self
    }

    /// Connects to the server. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// - [`StoreError::CannotOpen`] if the URL, a certificate or a key is not valid, if a setting of TLS is used without
    ///   `https://`, or if credentials would be sent without encryption.
    /// - [`StoreError::Unavailable`] if the server cannot be reached, or one of both certificates is rejected.
    pub async fn open(self) -> Result<GrpcStore, StoreError> {
        let client = match self.tls {
            Some(tls) => self.client.tls(tls),
            None => self.client,
        };
        let invalid = |error: InvalidOptions| StoreError::CannotOpen(error_chain(&error));
        let connection = client.connect().map_err(invalid)?;
        let events = EventStoreServiceClient::new(connection.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let state = StateServiceClient::new(connection)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let appender = Appender::start(events.clone());
        // The first call establishes the connection.
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
