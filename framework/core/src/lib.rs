//! The store contract of [factum](https://docs.rs/factum): everything that a store author needs.
//!
//! A store implements [`EventStore`](store::EventStore), [`SnapshotStore`](snapshot::SnapshotStore) and
//! [`DocumentStore`](document::DocumentStore), and passes the conformance suite of `factum-testkit`. This crate has no
//! tasks, no codecs and no domain types.
//!
//! | module | content |
//! |---|---|
//! | [`append`] | appends, expected versions, append conditions, conflicts |
//! | [`document`] | documents with revisions: checkpoints, leases, outboxes, dead letters |
//! | [`query`], [`read`] | filters and pages |
//! | [`record`] | events before and after they are stored |
//! | [`store`], [`snapshot`] | the traits of a store |
//! | [`metrics`] | the names of all metrics, and those that a store records |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod append;
pub mod delegate;
pub mod document;
pub mod error;
pub mod event_id;
pub mod metadata;
pub mod metrics;
pub mod personal;
pub mod position;
pub mod query;
#[doc(hidden)]
pub mod random;
pub mod read;
pub mod record;
pub mod snapshot;
pub mod store;
pub mod stream_id;
pub mod tag;
pub mod timestamp;

pub use async_trait::async_trait;
