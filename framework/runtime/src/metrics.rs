//! The metrics of projections and process managers.

mod consumers;
#[cfg(feature = "metrics")]
mod measure;
mod processes;

pub use consumers::{record_projection_failure, set_projection_status};
#[cfg(feature = "metrics")]
pub use measure::measure;
pub use processes::{
    WorkOutcome, record_deadline, record_process_work, set_failed_deliveries, set_process_due,
};
