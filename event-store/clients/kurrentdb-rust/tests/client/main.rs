//! The crate `kurrentdb` as a client of the event store server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod metadata;
mod persistent;
mod restart;
mod streams;
mod subscriptions;
mod support;
