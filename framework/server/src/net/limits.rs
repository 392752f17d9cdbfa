//! [`ConnectionLimits`]: the limits of the connections of one API.

use std::time::Duration;

/// The limits of the connections of one API.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The maximum number of open connections. Further connections wait until one is closed.
    pub max_connections: usize,
    /// The maximum time from the first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// The maximum time without a request.
    pub idle_timeout: Duration,
    /// The maximum time in which a client must receive the data that is ready for it.
    pub send_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(30),
        }
    }
}
