//! Watches the head of the log, and wakes readers when it moves.
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

/// The maximum time until a commit of another process is seen.
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
pub fn read_head(connection: &Connection) -> rusqlite::Result<Position> {
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
    pub fn start(connection: Connection, head: Arc<watch::Sender<Position>>) -> io::Result<Self> {
        let (keep_polling, stop) = channel();
        let thread = thread::Builder::new()
            .name("factum-sqlite-watcher".to_owned())
            .spawn(move || poll(&connection, &head, &stop))?;
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

/// Advances `head` while it has receivers, until the sender of `stop` is dropped.
fn poll(connection: &Connection, head: &watch::Sender<Position>, stop: &Receiver<()>) {
    let mut last_version = None;
    while stop.recv_timeout(POLL_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        // The store itself has one receiver.
        if head.receiver_count() < 2 {
            last_version = None;
            continue;
        }
        match read_changed_head(connection, &mut last_version) {
            Ok(Some(position)) => advance(head, position),
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot read the head of the log, will retry"),
        }
    }
}

/// Returns the head if another connection has committed since `last_version`, which is updated.
fn read_changed_head(
    connection: &Connection,
    last_version: &mut Option<i64>,
) -> rusqlite::Result<Option<Position>> {
    let mut statement = connection.prepare_cached("pragma data_version")?;
    let version = statement.query_row([], |row| row.get(0))?;
    if last_version.replace(version) == Some(version) {
        return Ok(None);
    }
    read_head(connection).map(Some)
}
