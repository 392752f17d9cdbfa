//! Import and export.

mod app;
mod archive;
mod change_log;
mod grpc;
mod line;
mod plan;
mod rest;

pub use app::{
    ApplyDocument, ApplyRequest, ApplyResult, ExportedVersion, ImportExport, MAX_DOCUMENTS,
    MAX_IMPORT_BYTES, TransferRefusal,
};
pub use archive::{
    ArchiveError, ArchiveFile, ArchiveFormat, MAX_ARCHIVE_BYTES, MAX_ENTRIES, UnknownFormat,
    read_archive, write_archive,
};
pub use change_log::ChangeLog;
pub use grpc::TransferGrpc;
pub use plan::{ApplyPlan, Existing, PlanStep, StepKind, Wanted};
pub use rest::routes;
