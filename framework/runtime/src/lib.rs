//! The runtime of [factum](https://docs.rs/factum): projections, process managers, deadlines, schedules and event
//! handlers.
//!
//! Applications use the crate `factum`, which re-exports what they need.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod consumer;
mod document_scan;
mod failure_log;
#[doc(hidden)]
pub mod lease;
mod log_head;
#[doc(hidden)]
pub mod membership;
pub mod metrics;
pub mod process;
pub mod projections;
mod runtime;
mod start_from;

pub use runtime::{ProcessOptions, Runtime, RuntimeBuilder, StartError};
pub use start_from::StartFrom;
