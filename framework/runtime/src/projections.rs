//! Read models: in memory, in tables, and in the transaction of an append.

mod active_build;
mod handle;
mod in_memory;
pub mod inline;
mod live_query;
mod live_view_query;
pub mod table_names;

pub use active_build::ActiveBuild;
pub use handle::ProjectionHandle;
pub use in_memory::InMemory;
pub use live_view_query::{LiveViews, live_query};
