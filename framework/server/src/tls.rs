//! TLS by rustls, with files that can be replaced while the server runs.

mod certificate;
mod error;
mod files;

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use certificate::PeerCertificate;
pub use error::TlsError;
pub use files::TlsFiles;

/// The certificate and the key of a server. Clones share them.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// Returns an error that names the file if one cannot be read or is not valid.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = files.load()?;
        Ok(Self {
            files: Arc::new(files),
            config: Arc::new(RwLock::new(config)),
        })
    }

    /// Loads the files again, for all connections from now on.
    ///
    /// # Errors
    /// Returns the errors of [`Tls::load`]. The previous content of the files then stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = self.files.load()?;
        // No method panics while it holds the lock.
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Returns the acceptor of the next connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        config.clone().into()
    }
}
