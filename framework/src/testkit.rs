//! Testing a domain without a store, and a store against its promises.
//!
//! [`given`] reads like a specification and needs no store. [`store_contract!`](crate::store_contract) is the
//! suite that every adapter must pass, from its own crate in a few lines. [`Faulty`] makes any store fail, as a
//! seed says. With the feature `catalog`, `events_lock` holds the stored forms of events against a checked-in
//! file.

#[doc(hidden)]
pub mod contract;
#[doc(hidden)]
pub mod contract_append;
#[doc(hidden)]
pub mod contract_bounds;
#[doc(hidden)]
pub mod contract_condition;
#[doc(hidden)]
pub mod contract_deadline;
#[doc(hidden)]
pub mod contract_documents;
#[doc(hidden)]
pub mod contract_durable;
#[doc(hidden)]
pub mod contract_engine;
#[doc(hidden)]
pub mod contract_faults;
#[doc(hidden)]
pub mod contract_keys;
#[doc(hidden)]
pub mod contract_model;
#[doc(hidden)]
pub mod contract_neighbours;
#[doc(hidden)]
pub mod contract_process;
#[doc(hidden)]
pub mod contract_process_begin;
#[doc(hidden)]
pub mod contract_process_commands;
#[doc(hidden)]
pub mod contract_process_forms;
mod contract_process_lamps;
#[doc(hidden)]
pub mod contract_process_work;
#[doc(hidden)]
pub mod contract_projection;
#[doc(hidden)]
pub mod contract_race;
#[doc(hidden)]
pub mod contract_read;
#[doc(hidden)]
pub mod contract_retry;
mod contract_shop;
#[doc(hidden)]
pub mod contract_snapshot;
#[doc(hidden)]
pub mod contract_together;
#[cfg(feature = "catalog")]
mod events_lock;
mod faults;
mod faulty;
mod faulty_documents;
#[cfg(feature = "catalog")]
mod lock_error;
#[cfg(feature = "catalog")]
mod lock_file;
#[cfg(feature = "catalog")]
mod lock_fits;
#[cfg(all(test, feature = "catalog"))]
mod lock_laws;
#[cfg(feature = "catalog")]
mod lock_merge;
#[cfg(feature = "catalog")]
mod lock_schema;
#[cfg(feature = "catalog")]
mod lock_shape;
mod process;
mod scenario;
mod stored;
mod virtual_clock;

pub use crate::store_contract;
pub use contract::Backend;
#[cfg(feature = "catalog")]
pub use events_lock::{EventsLock, events_lock};
pub use faults::Faults;
pub use faulty::Faulty;
#[cfg(feature = "catalog")]
pub use lock_error::{LockError, LockFault};
pub use process::{ProcessScenario, process};
pub use scenario::{Given, Scenario, given};
pub use stored::stored;
pub use virtual_clock::VirtualClock;
