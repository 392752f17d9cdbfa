//! Read models in memory, and the handles of projections. SQL read models are in the crate `factum-sql`.
//!
//! A projection is a consumer: [`consumer`](crate::consumer) processes the events, also those that fail.

mod handle;
mod in_memory;
mod live_query;

pub use handle::ProjectionHandle;
pub use in_memory::InMemory;
