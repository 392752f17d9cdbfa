//! Access control of the server as a process: users, permissions, reloads, and the addresses that it serves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/server.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod process;

mod commands;
mod credentials;
mod reload;
mod server;
mod streams;
