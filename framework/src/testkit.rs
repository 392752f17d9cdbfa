//! Testing a domain without a store, and a store against its promises.
//!
//! [`given`] reads like a specification and needs no store. [`store_contract!`](crate::store_contract) is the
//! suite that every adapter must pass, from its own crate in a few lines. [`Faulty`] makes any store fail, as a
//! seed says.

#[doc(hidden)]
pub mod contract;
#[doc(hidden)]
pub mod contract_append;
#[doc(hidden)]
pub mod contract_bounds;
#[doc(hidden)]
pub mod contract_condition;
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
pub mod contract_race;
#[doc(hidden)]
pub mod contract_read;
#[doc(hidden)]
pub mod contract_retry;
mod contract_shop;
#[doc(hidden)]
pub mod contract_snapshot;
mod faults;
mod faulty;
mod faulty_documents;
mod process;
mod scenario;
mod virtual_clock;

pub use crate::store_contract;
pub use contract::Backend;
pub use faults::Faults;
pub use faulty::Faulty;
pub use process::{ProcessScenario, process};
pub use scenario::{Given, Scenario, given};
pub use virtual_clock::VirtualClock;
