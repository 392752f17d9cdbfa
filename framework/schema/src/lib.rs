//! Documentation of a [factum](https://docs.rs/factum) domain from its types, and the lock file of its event schemas.
//!
//! Applications use the feature `schema` of the crate `factum`.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod catalog;
mod event_schemas;
pub mod lock;
mod stored_names;

pub use catalog::Catalog;
pub use lock::{EventsLock, Incompatibility, LockError, events_lock};
