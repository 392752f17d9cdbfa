//! The Factum event store: a gRPC server for events in memory, SQLite or PostgreSQL.

pub mod access;
pub mod backend;
mod log_head;
pub mod native;
mod paged_read;
pub mod server;
pub mod settings;
mod split;
mod stop;
pub mod umadb;
