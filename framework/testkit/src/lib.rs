//! The test kit of [factum](https://docs.rs/factum).
//!
//! | task | use |
//! |---|---|
//! | Test decisions without a store | [`given`] … `when` … `then` |
//! | Test process managers without a store | [`process`] |
//! | Test projections in memory without a store | [`projection`] |
//! | Test projections in tables with a store | `sql_projection`, with the feature `sql` |
//! | Create events as older code has stored them | [`stored`] |
//! | Let deadlines pass | [`VirtualClock`] |
//! | Let any store fail, selected by a seed | [`Faulty`] |
//! | Test a store against its guarantees | [`conformance_suite!`] |

pub mod conformance;
mod faults;
mod faulty;
mod faulty_documents;
mod given_log;
mod process;
mod projection;
mod scenario;
#[cfg(feature = "sql")]
mod sql_projection;
mod stored;
mod virtual_clock;

pub use conformance::harness::Backend;
pub use faults::Faults;
pub use faulty::Faulty;
pub use process::{ProcessScenario, process};
pub use projection::{ProjectionScenario, projection};
pub use scenario::{Given, Scenario, given};
#[cfg(feature = "sql")]
pub use sql_projection::{ExpectedRow, SqlProjectionScenario, sql_projection};
pub use stored::stored;
pub use virtual_clock::VirtualClock;
