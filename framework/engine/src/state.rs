//! The states of aggregates: the cache, and loading a state from the cache, a snapshot and the events.

pub mod aggregate_state;
pub mod cache;
pub mod due_snapshot;
pub mod load_error;
pub mod loader;
pub mod query_fold;
