//! The factum store in memory, for tests, examples and events that need not outlive the process.
//!
//! It keeps every guarantee of a store except durability. Event data is shared and never copied.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use factum::store::{EventStore, Query, Read};
//! use factum_memory::MemoryStore;
//!
//! let store = MemoryStore::new();
//! assert!(store.read(Read::all(Query::all())).await.unwrap().events.is_empty());
//! # });
//! ```

mod document;
mod id_runs;
mod log;
mod query;
mod snapshot;
mod store;

pub use store::MemoryStore;
