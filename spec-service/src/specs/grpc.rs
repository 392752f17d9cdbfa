//! The gRPC service of specifications.

mod convert;
mod service;

pub use service::GrpcService;
