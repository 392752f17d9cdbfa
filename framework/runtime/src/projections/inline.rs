//! Inline projections: read models that are updated in the transaction of an append. For adapters.

mod appended_events;
mod apply;
mod catch_up;
mod inline_projection;
mod transaction;

pub use appended_events::recorded;
pub use inline_projection::{Current, Inline, Left, Standing, in_order};
pub use transaction::InlineTransaction;
