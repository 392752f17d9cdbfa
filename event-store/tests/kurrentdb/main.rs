//! KurrentDB's protocol on the server process, message by message. `event-store/clients` tests it with published clients.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod append;
mod batch_append;
mod client;
mod limits;
mod persistent;
mod protocols;
mod read;
mod removal_race;
#[allow(dead_code, reason = "shared by several tests")]
#[path = "../support/server.rs"]
mod server;
mod services;
mod version_2;
