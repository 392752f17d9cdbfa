//! The gRPC service of specifications.

pub(crate) mod convert;
mod service;

pub use service::GrpcService;
