//! The gRPC API.

/// Messages and service traits, generated from `proto/spec/v1/spec.proto`.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
pub mod generated;
