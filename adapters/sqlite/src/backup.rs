//! Copies a database while it is in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use factum_core::error::StoreError;
use factum_core::position::Position;
use rusqlite::{Connection, OpenFlags};

use crate::database_file::DatabaseFile;
use crate::error::BackendError;
use crate::watch::read_head;

/// Copies the database of `file` to `target`, and returns the position of its last event.
///
/// It blocks the thread. The copy is complete and synced before it gets its name.
pub fn back_up(file: &DatabaseFile, target: &Path) -> Result<Position, StoreError> {
    file.check()?;
    let target = std::path::absolute(target).map_err(|error| failed(target, &error))?;
    if target.exists() {
        return Err(failed(&target, &ErrorKind::AlreadyExists.into()));
    }
    let partial = Partial::new(&target);
    copy(file, &partial.0)?;
    let head = check(&partial.0, file)?;
    // Until now, nothing has forced the copy out of the memory of the operating system.
    File::open(&partial.0)
        .and_then(|copy| copy.sync_all())
        .map_err(|error| failed(&target, &error))?;
    // Unlike a rename, a link does not replace a file that another program has created meanwhile.
    fs::hard_link(&partial.0, &target).map_err(|error| failed(&target, &error))?;
    drop(partial);
    sync_directory(&target).map_err(|error| failed(&target, &error))?;
    // The copy may be one of a file that was replaced meanwhile.
    file.verify()?;
    Ok(head)
}

/// Copies the database in one read transaction, which blocks no writer.
fn copy(file: &DatabaseFile, target: &Path) -> Result<(), BackendError> {
    let connection = file.connect_to_read()?;
    // A copy writes, but not to the database.
    connection.pragma_update(None, "query_only", 0)?;
    let name = target.to_string_lossy();
    connection.execute("vacuum into ?", [&*name])?;
    Ok(())
}

/// Checks that the copy is a store that can be read completely, and returns its head.
fn check(copy: &Path, file: &DatabaseFile) -> Result<Position, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags).map_err(BackendError::from)?;
    connection
        .busy_timeout(file.busy_timeout)
        .map_err(BackendError::from)?;
    let found: String = connection
        .query_row("pragma quick_check(1)", [], |row| row.get(0))
        .map_err(BackendError::from)?;
    if found != "ok" {
        return Err(StoreError::Corrupt(format!(
            "the copy of the database: {found}"
        )));
    }
    crate::migrate::require_current(&connection)?;
    Ok(read_head(&connection)?)
}

/// A copy that has no final name yet; it is deleted when this is dropped.
struct Partial(PathBuf);

impl Partial {
    fn new(target: &Path) -> Self {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        Self(name.into())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // This fails if the copy has not begun.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn sync_directory(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Directories cannot be opened here.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(target: &Path, error: &io::Error) -> StoreError {
    let (target, advice) = (
        target.display(),
        match error.kind() {
            ErrorKind::AlreadyExists => "; choose a name that is not in use",
            _ => "",
        },
    );
    let reason = format!("cannot write the backup {target}: {error}{advice}");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Unavailable(reason.into()),
        _ => StoreError::Failed(reason.into()),
    }
}
