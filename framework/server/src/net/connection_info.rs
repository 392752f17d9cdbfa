//! [`ConnectionInfo`]: the facts about a connection, which each of its requests has as an extension.

use std::net::SocketAddr;
use std::sync::Arc;

use super::activity::Activity;
use crate::tls::PeerCertificate;

/// The facts about a connection, an extension of each of its requests.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    activity: Activity,
    peer: SocketAddr,
    certificate: Option<Arc<PeerCertificate>>,
}

impl ConnectionInfo {
    /// Creates the facts about a new connection of the client at `peer`.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            activity: Activity::new(),
            peer,
            certificate: None,
        }
    }

    /// Adds the certificate of the client.
    #[must_use]
    pub fn with_certificate(mut self, certificate: PeerCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate));
        self
    }

    /// Returns the verified certificate of the client, if the server requires one.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_deref()
    }

    /// Returns the requests of the connection.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Returns the address of the client, or of a proxy before it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}
