//! The store contract of [factum](https://docs.rs/factum): everything that the author of a store needs.
//!
//! A store implements three traits: [`EventStore`](store::EventStore), [`SnapshotStore`](snapshot::SnapshotStore) and
//! [`DocumentStore`](document::DocumentStore). It must pass the conformance suite of the crate `factum-testkit`. This
//! crate contains no tasks, no codecs and no domain types.
//!
//! | module | content |
//! |---|---|
//! | [`store`], [`snapshot`] | the traits of a store |
//! | [`document`] | the trait for documents: checkpoints, leases, outboxes, dead letters |
//! | [`append`] | appends, expected versions, append conditions, idempotency keys, conflicts |
//! | [`query`], [`read`] | filters for events, and pages of events |
//! | [`record`], [`metadata`] | events before and after they are stored |
//! | [`personal`] | personal data in events, and its encrypted form |
//! | [`stream_id`], [`tag`], [`position`], [`timestamp`] | the validated values |
//! | [`error`](mod@error) | the errors of a backend |
//! | [`field`], [`json`] | the rules for the fields of requests, and for stored JSON |
//! | [`metrics`] | the names of all metrics, and the recorder for stores |
//! | [`delegate!`] | a macro for stores that wrap another store |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod append;
pub mod delegate;
pub mod document;
pub mod error;
#[doc(hidden)]
pub mod event_id;
pub mod event_type_list;
pub mod field;
pub mod json;
pub mod metadata;
pub mod metrics;
pub mod personal;
pub mod position;
#[doc(hidden)]
pub mod projection_scope;
pub mod query;
#[doc(hidden)]
pub mod random;
pub mod read;
pub mod record;
mod record_json;
pub mod snapshot;
pub mod store;
pub mod stream_id;
pub mod stream_list;
pub mod tag;
pub mod timestamp;

pub use async_trait::async_trait;
#[doc(hidden)]
pub use uuid::Uuid;
