//! The Spec Service: the lifecycle of small YAML specifications, with a full audit trail.

#![allow(unreachable_pub, reason = "items of private modules are plain `pub`")]

pub mod app;
pub mod catalog;
pub mod domain;
pub mod grpc;
pub mod metrics;
pub mod rest;
pub mod server;
pub mod settings;
pub mod wiring;
