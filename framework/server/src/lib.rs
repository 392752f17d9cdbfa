//! The common parts of the servers of Factum: connections with limits, startup and shutdown, logs, health, and metrics.
//!
//! A server binds its addresses with [`listen`](listen::listen), accepts connections through
//! [`Incoming`](net::Incoming), and adds [`TrackRequestsLayer`](net::TrackRequestsLayer) to its services. After
//! [`shutdown_signal`](shutdown::shutdown_signal), it waits for calls in flight with [`finish`](shutdown::finish).

pub mod call_end;
pub mod call_log;
pub mod call_metrics;
pub mod http;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod net;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "otlp-collector")]
pub mod otlp_collector;
pub mod panic;
pub mod reload;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod write_check;
