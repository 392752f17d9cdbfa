//! The metrics of projections and process managers.

mod processes;
mod projections;

pub use processes::{
    WorkOutcome, record_deadline, record_process_work, set_failed_deliveries, set_process_due,
};
#[cfg(feature = "metrics")]
pub use projections::measure;
pub use projections::{record_projection_failure, set_projection_status};
