//! The Factum event store: a gRPC server for events in memory, SQLite or PostgreSQL.

pub mod access;
pub mod backend;
pub mod groups;
mod health;
pub mod kurrentdb;
mod log_head;
mod messages;
pub mod metrics;
mod metrics_endpoint;
pub mod native;
mod next_request;
mod paged_read;
pub mod readiness;
pub mod routes;
pub mod server;
pub mod serving;
pub mod settings;
mod split;
mod stop;
mod stored_events;
pub mod umadb;
