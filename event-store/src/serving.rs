//! [`Serving`]: the store that a server serves, and the limits of its clients.

use std::time::Duration;

use factum_server::net::ConnectionLimits;
use factum_server::tls::Tls;
use factum_server::write_check::WriteCheck;
use tokio::sync::watch;

use crate::access::Stores;
use crate::groups::Groups;
use crate::readiness::ServerReadiness;

/// The default of [`Serving::max_calls`].
const MAX_CALLS: u32 = 1_000;

/// The default time after which other servers take over the consumer groups of a failed server.
const GROUP_LEASE: Duration = Duration::from_secs(6);

/// The document that shows whether the store accepts writes.
const WRITE_CHECK: &str = "$event-store/write-check";

/// The store that a server serves, and the limits of its clients.
#[derive(Clone)]
pub struct Serving {
    /// The store.
    pub stores: Stores,
    /// The consumer groups of the store.
    pub groups: Groups,
    /// The name of the backend.
    pub backend: &'static str,
    /// The certificate of the server; without it, connections are not encrypted.
    pub tls: Option<Tls>,
    /// The limits of connections.
    pub limits: ConnectionLimits,
    /// The maximum number of concurrent calls of one connection.
    pub max_calls: u32,
    /// The result of the health checks.
    pub readiness: ServerReadiness,
    /// Becomes `true` when the server stops. Calls without end then end.
    pub stop: watch::Receiver<bool>,
}

impl Serving {
    /// Creates the state of a server of `stores` on the backend `backend`, with default limits.
    #[must_use]
    pub fn new(stores: Stores, backend: &'static str, stop: watch::Receiver<bool>) -> Self {
        let check = WriteCheck::new(WRITE_CHECK);
        Self {
            readiness: ServerReadiness::new(stores.for_server(), check, stop.clone()),
            groups: Groups::new(stores.for_server(), GROUP_LEASE),
            stores,
            backend,
            tls: None,
            limits: ConnectionLimits::default(),
            max_calls: MAX_CALLS,
            stop,
        }
    }
}
