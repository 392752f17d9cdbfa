//! [`DatabaseFile`]: the file of a store, and the options of its connections.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::access::Access;
use crate::error::BackendError;
use crate::file_guard::{FileGuard, wal_path};

/// The size of the WAL in pages at which SQLite starts a checkpoint, about 40 MB.
///
/// The default is 4 MB. A checkpoint is the longest pause of a writer.
const CHECKPOINT_PAGES: i64 = 10_000;
/// The size of the page cache: 64 MB.
const CACHE_SIZE: i64 = -65_536;
/// The number of statements that a connection keeps prepared.
const STATEMENT_CACHE_CAPACITY: usize = 100;

/// The file of a store, and the options of its connections; clones share the guard.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    /// The absolute path.
    pub path: PathBuf,
    pub busy_timeout: Duration,
    pub access: Access,
    /// Empty until the first connection is open.
    guard: Arc<OnceLock<FileGuard>>,
}

impl DatabaseFile {
    pub fn new(path: PathBuf, busy_timeout: Duration, access: Access) -> Self {
        Self {
            path,
            busy_timeout,
            access,
            guard: Arc::default(),
        }
    }

    /// Remembers the identity of the file; a connection must be open and have read from it.
    pub fn guard_identity(&self) -> Result<(), BackendError> {
        if self.guard.get().is_none() {
            let guard = FileGuard::new(&self.path, self.access);
            let guard = guard.map_err(|_| BackendError::FileLost(self.path.as_path().into()))?;
            // If another thread was faster, its guard is the same.
            let _ = self.guard.set(guard);
        }
        Ok(())
    }

    /// Fails if the file is known to be deleted or replaced; costs nothing.
    pub fn check(&self) -> Result<(), BackendError> {
        self.guard.get().map_or(Ok(()), FileGuard::check)
    }

    /// Looks at the file, and fails if it was deleted or replaced.
    pub fn verify(&self) -> Result<(), BackendError> {
        self.guard.get().map_or(Ok(()), FileGuard::verify)
    }

    /// Opens the connection that writes.
    ///
    /// `create` allows it to create the file.
    pub fn connect_to_write(&self, create: bool) -> Result<Connection, BackendError> {
        let synchronous = match self.access {
            Access::ReadWrite { durable: true } => "full",
            Access::ReadWrite { durable: false } => "off",
            Access::ReadOnly | Access::Immutable => return Err(BackendError::ReadOnly),
        };
        let flags = match create {
            true => OpenFlags::SQLITE_OPEN_CREATE,
            false => OpenFlags::empty(),
        };
        let connection = self.connect(flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        Ok(connection)
    }

    /// Opens a connection that only reads.
    pub fn connect_to_read(&self) -> Result<Connection, BackendError> {
        let flags = match self.access {
            Access::ReadWrite { .. } => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::ReadOnly | Access::Immutable => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let connection = self.connect(flags)?;
        connection.pragma_update(None, "query_only", 1)?;
        Ok(connection)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, BackendError> {
        let connected = self.try_connect(flags);
        // The path may have become that of no file, or of another one than that of the other connections.
        self.verify()?;
        connected
    }

    fn try_connect(&self, flags: OpenFlags) -> Result<Connection, BackendError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self.access {
            Access::Immutable => {
                let uri = immutable_uri(&self.path);
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
            Access::ReadWrite { .. } | Access::ReadOnly => {
                Connection::open_with_flags(&self.path, flags)?
            }
        };
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
        connection.pragma_update(None, "foreign_keys", 0)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        Ok(connection)
    }

    /// Returns whether a write-ahead log is beside the file.
    pub fn has_wal(&self) -> bool {
        wal_path(&self.path).exists()
    }
}

/// Returns the URI of a file that nobody can change.
///
/// SQLite reads it without locks, and without the files for shared memory, which it could not create.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for character in path.to_string_lossy().chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri + "?immutable=1"
}
