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
    /// The maximum time for which the socket of a client may accept no data.
    pub send_timeout: Duration,
    /// The maximum time without a further part of a response, while the socket accepts data.
    ///
    /// A client of HTTP/2 can read other responses in this time.
    pub unread_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(30),
            unread_timeout: Duration::from_secs(30),
        }
    }
}
