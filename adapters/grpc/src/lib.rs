#![doc = include_str!("../README.md")]

mod append;
mod document;
mod head;
mod open;
mod page;
mod snapshot;
mod store;

pub use open::{GrpcOptions, GrpcStore};
