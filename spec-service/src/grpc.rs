//! The gRPC API.

/// Messages and service traits, generated from `proto/spec/v1/spec.proto`.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod generated;
