//! Testing a domain without a store.

mod scenario;

pub use scenario::{Given, Scenario, given};
