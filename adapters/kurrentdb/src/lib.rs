#![doc = include_str!("../README.md")]

mod append;
mod document;
mod error;
mod event;
mod head;
mod open;
mod query;
mod read;
mod snapshot;
mod store;

pub use open::CompatibleStore;
