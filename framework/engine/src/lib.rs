//! The execution engine of [factum](https://docs.rs/factum): aggregates, commands and decisions, and the engine that
//! loads, decides and appends.
//!
//! Applications use the crate `factum`, which re-exports what they need.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    missing_docs,
    reason = "some items are public only for the other crates of the framework; `factum` exports the rest"
)]

pub mod aggregate;
pub mod boundary;
pub mod causality;
pub mod clock;
pub mod codec;
pub mod command;
pub mod engine;
pub mod error;
pub mod event;
pub mod event_set;
pub mod events;
mod few;
pub mod legacy;
pub mod metrics;
pub mod personal;
pub mod process;
pub mod projection;
pub mod record;
pub mod subscription;
pub mod upcast;
