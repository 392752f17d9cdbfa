//! [`LivenessLock`]: proves to other processes that a store is open, or that its process has ended.
//!
//! Each store that writes creates a file beside the database, `app.db-live-<id>`, and holds an exclusive lock on it until it
//! is closed. The operating system releases the lock when the process ends, also after `kill -9`. A node publishes the id in
//! its heartbeat, so other nodes take over its leases as soon as the lock is released. This also works between containers,
//! whose process ids and host names say nothing.
//!
//! - A lock counts as released if its file can be locked, or if it does not exist. So the leases in a copy of the database
//!   are free at once.
//! - If the file cannot be created or locked, for example because the directory is read-only, the store has no liveness
//!   lock. Its leases then expire.
//! - A file whose process was killed has no effect. The next store that is opened deletes it.

use std::fs::{File, OpenOptions, TryLockError, remove_file};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use factum_core::event_id::new_event_id;
use tracing::debug;
use uuid::Uuid;

/// The number of files that are created at most: another process may delete a file before it is locked.
const MAX_ATTEMPTS: usize = 3;

/// The liveness lock of an open store, which is released when the value is dropped.
#[derive(Debug)]
pub struct LivenessLock {
    id: Uuid,
    path: PathBuf,
    /// Holds the lock.
    file: Option<File>,
}

impl LivenessLock {
    /// Acquires a new lock for `database`; `None` if the file system does not allow it.
    pub fn acquire(database: &Path) -> Option<Self> {
        (0..MAX_ATTEMPTS).find_map(|_| Self::try_acquire(database))
    }

    fn try_acquire(database: &Path) -> Option<Self> {
        let id = new_event_id();
        let path = lock_path(database, id);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .inspect_err(|error| debug!(%error, "cannot create the file of the liveness lock"));
        let lock = Self {
            id,
            path,
            file: Some(file.ok()?),
        };
        let locked = lock.file.as_ref().map(File::try_lock);
        // If another process was faster and deleted the file, dropping the lock has no effect.
        (matches!(locked, Some(Ok(()))) && lock.path.exists()).then_some(lock)
    }

    /// Returns the id of the lock.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

impl Drop for LivenessLock {
    fn drop(&mut self) {
        // Before the lock is released: nobody else may delete the file while it is locked. Without permission, it remains.
        let _ = remove_file(&self.path);
        self.file = None;
    }
}

/// Returns whether the lock `id` of `database` is certainly released.
pub fn is_released(database: &Path, id: Uuid) -> bool {
    let file = match File::open(lock_path(database, id)) {
        Ok(file) => file,
        Err(error) => return error.kind() == ErrorKind::NotFound,
    };
    // Shared, so that several processes can check at the same time.
    match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => {
            debug!(%error, "cannot check a liveness lock");
            false
        }
    }
}

/// Deletes the files of released locks of `database`.
pub fn delete_released(database: &Path) {
    let (Some(directory), Some(name)) = (database.parent(), database.file_name()) else {
        return;
    };
    let prefix = format!("{}-live-", name.to_string_lossy());
    let Ok(entries) = directory.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if id.is_none_or(|id| id.parse::<Uuid>().is_err()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            // An error leaves a file without effect.
            let _ = remove_file(&path);
        }
    }
}

fn lock_path(database: &Path, id: Uuid) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(format!("-live-{id}"));
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Path) -> usize {
        directory.read_dir().map_or(0, Iterator::count)
    }

    #[test]
    fn lock_is_released_at_its_end() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("app.db");
        let Some(lock) = LivenessLock::acquire(&database) else {
            panic!("a local directory supports locks");
        };
        let id = lock.id();
        delete_released(&database);
        assert!(!is_released(&database, id));
        assert_eq!(files(directory.path()), 1);
        // Another database in the same directory.
        assert!(is_released(&directory.path().join("copy.db"), id));
        drop(lock);
        assert!(is_released(&database, id));
        assert_eq!(files(directory.path()), 0);
        Ok(())
    }

    #[test]
    fn file_of_a_killed_process_is_deleted() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let database = directory.path().join("app.db");
        let id = new_event_id();
        std::fs::write(lock_path(&database, id), "")?;
        std::fs::write(directory.path().join("app.db-live-notes.txt"), "")?;
        assert!(is_released(&database, id));
        delete_released(&database);
        assert!(is_released(&database, id));
        assert_eq!(files(directory.path()), 1);
        Ok(())
    }

    #[test]
    fn missing_directory_gives_no_lock() {
        assert!(LivenessLock::acquire(Path::new("/missing/app.db")).is_none());
    }
}
