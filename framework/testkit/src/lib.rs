//! Tools to test a domain without a store, and to test a store against the guarantees of the framework.
//!
//! - [`given`] tests a command: given these events, when this command is executed, then these events are stored.
//! - [`process()`] tests a process manager in the same way.
//! - [`stored()`] builds an event as older code stored it, to test upcasters.
//! - [`VirtualClock`] lets a test advance the time.
//! - [`Faulty`] injects seeded faults into any store.
//! - [`conformance_suite!`](crate::conformance_suite) runs the tests that every adapter must pass.
//! - `events_lock` (feature `catalog`) compares the event schemas with the checked-in file `events.lock`.

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
