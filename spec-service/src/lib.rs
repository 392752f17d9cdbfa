//! The lifecycle of small YAML specifications, with a full audit trail.

pub mod app;
pub mod domain;
pub mod grpc;
