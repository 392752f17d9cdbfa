//! Documents: mutable state that the runtime keeps next to the events.
//!
//! A document has a key, a JSON value and a revision. Checkpoints with their leases, dead letters, deadlines, outboxes
//! and the states of process managers are documents. The revision is the only means of coordination: several changes
//! take effect together, and only if the documents they depend on are still at the expected revisions.

mod changes;
mod error;
mod in_memory;
mod revision;
mod scan;
mod store;

pub use changes::{
    DocumentChange, DocumentChanges, DocumentEffect, MAX_CHANGES, MAX_KEY, MAX_VALUE, check_keys,
};
pub use error::{DocumentError, InvalidDocumentChanges};
pub use in_memory::MemoryDocuments;
pub use revision::Revision;
pub use scan::{MAX_SCAN, MAX_SCAN_BYTES, Scan};
pub use store::{Document, DocumentStore, encode_document};
