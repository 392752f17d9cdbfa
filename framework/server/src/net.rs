//! The connections of an API, with limits that keep slow clients from holding resources.
//!
//! The limits apply to bytes and requests, not to a protocol, so every server uses them. A handler is not concerned with
//! them: [`TrackRequestsLayer`] counts the requests of a connection, and [`Connection`] ends when a limit is exceeded.

use std::time::Duration;

mod activity;
mod connection;
mod connection_info;
mod incoming;
mod limits;
mod socket;
mod track_requests;

/// The interval of pings on HTTP/2 connections, so that dead ones are noticed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The maximum number of concurrent requests of one HTTP/2 connection.
pub const MAX_STREAMS: u32 = 100;

pub use activity::Activity;
pub use connection::Connection;
pub use connection_info::ConnectionInfo;
pub use incoming::Incoming;
pub use limits::ConnectionLimits;
pub use socket::Socket;
pub use track_requests::{TrackRequestsLayer, TrackedBody};
