//! Many changes in one atomic append.

mod app;
mod domain;
mod grpc;
mod rest;

pub use app::{
    Bulk, BulkRefusal, BulkReport, BulkRequest, ItemError, ItemResult, MAX_BULK_BYTES, NewAction,
    NewChange, RefusedChange,
};
pub use domain::{
    BulkRejection, ChangeRejection, ChangeSpecs, ChangedSpec, Checked, ConditionalChange,
    MAX_CHANGES, NameHolders, SpecChange,
};
pub use grpc::BulkGrpc;
pub use rest::routes;
