//! The runtime of [factum](https://docs.rs/factum): projections, process managers, deadlines, schedules and event
//! handlers.
//!
//! Applications use the crate `factum`, which re-exports what they need.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    missing_docs,
    reason = "some items are public only for the other crates of the framework; `factum` exports the rest"
)]

pub mod metrics;
pub mod process_managers;
pub mod projections;
