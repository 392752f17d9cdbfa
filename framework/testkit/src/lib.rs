//! Testing a domain without a store, and a store against its promises.
//!
//! [`given`] reads like a specification and needs no store. [`conformance_suite!`](crate::conformance_suite) is the
//! suite that every adapter must pass, from its own crate in a few lines. [`Faulty`] makes any store fail, as a
//! seed says. With the feature `catalog`, `events_lock` holds the stored forms of events against a checked-in
//! file.

#[doc(hidden)]
pub mod conformance;
#[doc(hidden)]
pub mod conformance_append;
#[doc(hidden)]
pub mod conformance_bounds;
#[doc(hidden)]
pub mod conformance_condition;
#[doc(hidden)]
pub mod conformance_deadline;
#[doc(hidden)]
pub mod conformance_documents;
#[doc(hidden)]
pub mod conformance_durable;
#[doc(hidden)]
pub mod conformance_engine;
#[doc(hidden)]
pub mod conformance_faults;
#[doc(hidden)]
pub mod conformance_keys;
#[doc(hidden)]
pub mod conformance_model;
#[doc(hidden)]
pub mod conformance_neighbours;
#[doc(hidden)]
pub mod conformance_process;
#[doc(hidden)]
pub mod conformance_process_begin;
#[doc(hidden)]
pub mod conformance_process_commands;
#[doc(hidden)]
pub mod conformance_process_forms;
mod conformance_process_lamps;
#[doc(hidden)]
pub mod conformance_process_work;
#[doc(hidden)]
pub mod conformance_projection;
#[doc(hidden)]
pub mod conformance_race;
#[doc(hidden)]
pub mod conformance_read;
#[doc(hidden)]
pub mod conformance_retry;
mod conformance_shop;
#[doc(hidden)]
pub mod conformance_snapshot;
#[doc(hidden)]
pub mod conformance_together;
mod faults;
mod faulty;
mod faulty_documents;
mod process;
mod scenario;
mod stored;
mod virtual_clock;

pub use conformance::Backend;
pub use faults::Faults;
pub use faulty::Faulty;
pub use process::{ProcessScenario, process};
pub use scenario::{Given, Scenario, given};
pub use stored::stored;
pub use virtual_clock::VirtualClock;
