//! Watches the head of the log and the file, and wakes readers when one of them changes.
//!
//! Commits of other processes are found by polling, because SQLite sends no notifications.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use factum_core::position::Position;
use rusqlite::Connection;
use tokio::sync::watch;
use tracing::warn;

use crate::database_file::DatabaseFile;
use crate::error::BackendError;

/// The maximum time until a commit of another process, or the deletion of the file, is seen.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sets `head` to `position` unless it is already higher.
pub fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|head| {
        let moved = position > *head;
        *head = position.max(*head);
        moved
    });
}

/// Returns the head of the log.
pub fn read_head(connection: &Connection) -> Result<Position, BackendError> {
    let sql = "select coalesce(max(position), 0) from factum_event";
    let head: i64 = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(Position::new(head as u64))
}

/// The thread that looks for commits of other processes; it ends when this is dropped.
pub struct HeadPoller {
    keep_polling: Sender<()>,
    thread: JoinHandle<()>,
}

impl HeadPoller {
    pub fn start(
        file: DatabaseFile,
        connection: Connection,
        head: Arc<watch::Sender<Position>>,
    ) -> io::Result<Self> {
        let (keep_polling, stop) = channel();
        let mut poll = Poll {
            file,
            connection: Some(connection),
            last_version: None,
            has_failed: false,
            head,
        };
        let thread = thread::Builder::new()
            .name("factum-sqlite-watcher".to_owned())
            .spawn(move || poll.run(&stop))?;
        Ok(Self {
            keep_polling,
            thread,
        })
    }

    /// Ends the thread, and waits for it; blocks the thread of the caller.
    pub fn stop(self) {
        drop(self.keep_polling);
        // The connection only reads, so a panic has lost nothing.
        let _ = self.thread.join();
    }
}

struct Poll {
    file: DatabaseFile,
    /// Opened again after an error.
    connection: Option<Connection>,
    /// The version of the data at the last look.
    last_version: Option<i64>,
    has_failed: bool,
    head: Arc<watch::Sender<Position>>,
}

impl Poll {
    /// Polls until the sender of `stop` is dropped.
    fn run(&mut self, stop: &Receiver<()>) {
        while stop.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            match self.poll() {
                Ok(()) => self.has_failed = false,
                Err(error) => {
                    (self.connection, self.last_version) = (None, None);
                    if !std::mem::replace(&mut self.has_failed, true) {
                        warn!(%error, "cannot read the head of the log, will retry");
                        // Readers that wait for events get the error when they read.
                        self.head.send_modify(|_| ());
                    }
                }
            }
        }
    }

    fn poll(&mut self) -> Result<(), BackendError> {
        self.file.verify()?;
        // The store itself has one receiver.
        if self.head.receiver_count() < 2 {
            self.last_version = None;
            return Ok(());
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.file.connect_to_read()?),
        };
        let version = connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if self.last_version.replace(version) != Some(version) {
            advance(&self.head, read_head(connection)?);
        }
        Ok(())
    }
}
