//! [`FileGuard`]: notices that the files of an open database were deleted, moved or replaced.
//!
//! SQLite does not notice it: the connections keep the old files open, and everything that they write is lost when they
//! are closed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::{error, info};

use crate::access::Access;
use crate::error::BackendError;

/// The identity of a file: another file at the same path has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// The standard library knows no identity of files here, and an open file cannot be deleted.
    #[cfg(not(unix))]
    fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path)?;
        Ok(Self {
            device: 0,
            inode: 0,
        })
    }
}

/// Returns the path of the write-ahead log of the database `path`.
pub fn wal_path(path: &Path) -> PathBuf {
    let mut wal_path = path.as_os_str().to_owned();
    wal_path.push("-wal");
    wal_path.into()
}

/// The write-ahead log beside an open database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wal {
    /// It must stay the same; `None` if there must be none, because nobody may write.
    Fixed(Option<FileId>),
    /// Other processes may create and delete it.
    Free,
}

/// The files of an open database.
#[derive(Debug)]
pub struct FileGuard {
    path: PathBuf,
    wal_path: PathBuf,
    database: FileId,
    wal: Wal,
    /// Set if the last look found other files.
    is_lost: AtomicBool,
}

impl FileGuard {
    /// Remembers the identity of the files; a connection must be open.
    pub fn new(path: &Path, access: Access) -> io::Result<Self> {
        let wal_path = wal_path(path);
        Ok(Self {
            database: FileId::of(path)?,
            wal: match access {
                Access::ReadWrite { .. } | Access::Immutable => {
                    Wal::Fixed(FileId::of(&wal_path).ok())
                }
                Access::ReadOnly => Wal::Free,
            },
            path: path.to_owned(),
            wal_path,
            is_lost: AtomicBool::new(false),
        })
    }

    /// Fails if the last [`verify`](Self::verify) has found other files; costs nothing.
    pub fn check(&self) -> Result<(), BackendError> {
        match self.is_lost.load(Relaxed) {
            true => self.verify(),
            false => Ok(()),
        }
    }

    /// Looks at the files, and fails if they are not the ones that were opened.
    ///
    /// It costs a few microseconds.
    pub fn verify(&self) -> Result<(), BackendError> {
        let is_lost = !self.is_intact();
        let was_lost = self.is_lost.swap(is_lost, Relaxed);
        let file = self.path.display();
        match (was_lost, is_lost) {
            (false, true) => error!(%file, "the database file was deleted, moved or replaced"),
            (true, false) => info!(%file, "the database file is back"),
            _ => {}
        }
        match is_lost {
            true => Err(BackendError::FileLost(self.path.as_path().into())),
            false => Ok(()),
        }
    }

    fn is_intact(&self) -> bool {
        let is_same = FileId::of(&self.path).is_ok_and(|database| database == self.database);
        is_same
            && match self.wal {
                Wal::Fixed(expected) => FileId::of(&self.wal_path).ok() == expected,
                Wal::Free => true,
            }
    }
}
