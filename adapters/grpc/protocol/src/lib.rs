//! The native gRPC protocol of the Factum event store: messages, and their conversion.
//!
//! The contract is the folder `proto/factum/store/v1`. The server and the store adapter over gRPC share this crate, so that
//! each conversion exists once for both directions.

pub mod append;
mod codec;
pub mod document;
pub mod encoded;
pub mod event;
pub mod invalid;
pub mod query;
pub mod read;
pub mod refusal;
pub mod time;

/// The generated messages, client and server.
#[rustfmt::skip]
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!("generated/client.generated.rs");
    include!("generated/server.generated.rs");
}

/// The encoded `FileDescriptorSet` of the protocol, for server reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!("../proto/factum.store.v1.bin");

/// The maximum size of a message in bytes: an append of the maximum size, and its names.
pub const MAX_MESSAGE_BYTES: usize = 96 * 1024 * 1024;

/// The domain of the `google.rpc.ErrorInfo` in the details of a status.
pub const ERROR_DOMAIN: &str = "factum.store";
