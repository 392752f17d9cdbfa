//! Read models in memory, and the handles of projections. SQL read models are in the crate `factum-sql`.

mod handle;
mod in_memory;
mod live_query;

pub use handle::ProjectionHandle;
pub use in_memory::InMemory;
