//! [`ConnectionInfo`]: the facts about a connection, which each of its requests has as an extension.

use std::net::SocketAddr;

use super::activity::Activity;

/// The facts about a connection, an extension of each of its requests.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    activity: Activity,
    peer: SocketAddr,
}

impl ConnectionInfo {
    /// Creates the facts about a new connection of the client at `peer`.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            activity: Activity::new(),
            peer,
        }
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
