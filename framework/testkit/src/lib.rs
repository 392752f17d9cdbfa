//! The test kit of [factum](https://docs.rs/factum).
//!
//! | task | use |
//! |---|---|
//! | Test decisions without a store | [`given`] … `when` … `then` |
//! | Test process managers without a store | [`process`] |
//! | Test projections in memory without a store | [`projection`] |
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
mod stored;
mod virtual_clock;

pub use conformance::harness::Backend;
pub use faults::Faults;
pub use faulty::Faulty;
pub use process::{ProcessScenario, process};
pub use projection::{ProjectionScenario, projection};
pub use scenario::{Given, Scenario, given};
pub use stored::stored;
pub use virtual_clock::VirtualClock;
