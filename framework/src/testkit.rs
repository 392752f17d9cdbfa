//! Testing a domain without a store, and a store against its promises.

mod scenario;

pub use scenario::{Given, Scenario, given};
