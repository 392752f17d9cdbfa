//! The factum store in memory: for tests, for examples, and where events need not outlive the process.
//!
//! Every promise of a store holds but durability. Payloads are shared, never copied.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use factum::{EventStore, Query, Read};
//! use factum_memory::MemoryStore;
//!
//! let store = MemoryStore::new();
//! assert!(store.read(Read::all(Query::all())).await.unwrap().events.is_empty());
//! # });
//! ```

mod document;
mod log;
mod query;
mod snapshot;
mod store;

pub use store::MemoryStore;
