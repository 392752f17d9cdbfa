//! The metrics of projections and process managers.

mod processes;
mod projections;

pub use processes::{
    WorkOutcome, deadline_passed, process_has_due, process_has_parked, process_worked,
};
#[cfg(feature = "metrics")]
pub use projections::measure;
pub use projections::{projection_failed, projection_stands};
