#![doc = include_str!("../README.md")]

mod append;
mod credentials;
mod document;
mod head;
mod open;
mod page;
mod snapshot;
mod store;
#[cfg(feature = "tls")]
mod tls;

pub use open::{GrpcOptions, GrpcStore};
