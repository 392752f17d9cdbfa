//! [`Access`]: the access of a store to its file.

/// The access of a store to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadWrite {
        /// Whether acknowledged writes are synced to disk.
        durable: bool,
    },
    ReadOnly,
    /// Read-only, in a directory in which SQLite cannot create the files beside the database.
    Immutable,
}
