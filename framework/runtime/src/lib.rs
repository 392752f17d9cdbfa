//! The runtime of [factum](https://docs.rs/factum): projections, process managers, deadlines, schedules and event
//! handlers.
//!
//! Applications use the crate `factum`, which re-exports what they need.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod metrics;
pub mod process_managers;
pub mod projections;
