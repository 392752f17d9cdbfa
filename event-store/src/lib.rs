//! The Factum event store: a gRPC server for events in memory, SQLite or PostgreSQL.

pub mod access;
pub mod backend;
pub mod native;
pub mod server;
pub mod settings;
