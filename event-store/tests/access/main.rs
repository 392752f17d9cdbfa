//! Access control of the server as a process: users, permissions, reloads, and the addresses that it serves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared by several tests")]
#[path = "../support/authority.rs"]
mod authority;
#[path = "../support/server.rs"]
#[allow(dead_code, reason = "shared by several tests")]
mod process;

mod certificates;
mod commands;
mod credentials;
mod dynamic_client;
mod matrix;
mod reload;
mod requests;
mod server;
mod streams;
