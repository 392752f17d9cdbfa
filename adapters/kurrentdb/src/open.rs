//! [`CompatibleStore`]: the connection to a server.

use std::fmt;
use std::sync::Arc;

use factum_core::error::StoreError;
use kurrentdb::{Client, ClientSettings};

use crate::append::StreamLocks;
use crate::head::HeadWatch;

/// A store on a server that speaks the protocol of KurrentDB. Clones share one connection.
///
/// The connection is restored after a failure. The [documentation of the crate](crate) lists the operations that the
/// protocol does not have.
#[derive(Clone)]
pub struct CompatibleStore {
    pub(crate) client: Client,
    pub(crate) head: Arc<HeadWatch>,
    pub(crate) locks: Arc<StreamLocks>,
}

impl CompatibleStore {
    /// Connects to the server of a connection string, for example `kurrentdb://127.0.0.1:2113?tls=false`.
    ///
    /// The connection string also contains the credentials and the settings of TLS, as the crate `kurrentdb` documents
    /// them. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// Returns [`StoreError::CannotOpen`] if the connection string is not valid, and the errors of
    /// [`with_client`](Self::with_client).
    pub async fn open(connection: &str) -> Result<Self, StoreError> {
        let settings = connection.parse::<ClientSettings>();
        let settings = settings.map_err(|error| {
            StoreError::CannotOpen(format!("invalid connection string: {error}"))
        })?;
        let client = Client::new(settings);
        Self::with_client(client.map_err(|error| StoreError::CannotOpen(error.to_string()))?).await
    }

    /// Uses the connection of `client`.
    ///
    /// # Errors
    /// Returns [`StoreError::Unavailable`] if the server cannot be reached, and [`StoreError::Failed`] if it refuses to
    /// read the log of all streams.
    pub async fn with_client(client: Client) -> Result<Self, StoreError> {
        let head = HeadWatch::start(client.clone()).await?;
        Ok(Self {
            client,
            head: Arc::new(head),
            locks: Arc::default(),
        })
    }
}

impl fmt::Debug for CompatibleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompatibleStore")
            .field("head", &self.head.position())
            .finish()
    }
}
