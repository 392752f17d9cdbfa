//! [`Serving`]: the store that a server serves, and the limits of its clients.

use factum_server::net::ConnectionLimits;
use factum_server::write_check::WriteCheck;
use tokio::sync::watch;

use crate::access::Stores;
use crate::readiness::Readiness;

/// The default of [`Serving::max_calls`].
const MAX_CALLS: u32 = 1_000;

/// The document that shows whether the store accepts writes.
const WRITE_CHECK: &str = "event-store/write-check";

/// The store that a server serves, and the limits of its clients.
#[derive(Clone)]
pub struct Serving {
    /// The store.
    pub stores: Stores,
    /// The name of the backend.
    pub backend: &'static str,
    /// The limits of connections.
    pub limits: ConnectionLimits,
    /// The maximum number of concurrent calls of one connection.
    pub max_calls: u32,
    /// The result of the health checks.
    pub readiness: Readiness,
    /// Becomes `true` when the server stops. Calls without end then end.
    pub stop: watch::Receiver<bool>,
}

impl Serving {
    /// Creates the state of a server of `stores`, whose backend has the name `backend`, with default limits.
    #[must_use]
    pub fn new(stores: Stores, backend: &'static str, stop: watch::Receiver<bool>) -> Self {
        let check = WriteCheck::new(WRITE_CHECK);
        Self {
            readiness: Readiness::new(stores.for_server(), check, stop.clone()),
            stores,
            backend,
            limits: ConnectionLimits::default(),
            max_calls: MAX_CALLS,
            stop,
        }
    }
}
