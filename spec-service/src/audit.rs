//! The audit report: who changed what, when and why, with a chain of hashes.

mod app;
mod chain;
mod format;
pub mod grpc;
pub mod rest;

pub use app::{Audit, AuditQuery, AuditRecord, AuditReport, InvalidAuditQuery};
pub use chain::{Chain, FIRST_HASH};
