//! The metrics of projections and process managers.

#[cfg(feature = "metrics")]
mod measure;
mod processes;
mod projections;

#[cfg(feature = "metrics")]
pub use measure::measure;
pub use processes::{
    WorkOutcome, record_deadline, record_process_work, set_failed_deliveries, set_process_due,
};
pub use projections::{record_projection_failure, set_projection_status};
