//! The head of the log.
//!
//! Commits of other processes are found by polling, because SQLite sends no notifications.

use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{oneshot, watch};
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

/// Advances `head` while it has receivers, until the sender of `stop` is dropped.
pub async fn poll(
    mut connection: SqliteConnection,
    head: Arc<watch::Sender<Position>>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut last_version = None;
    loop {
        tokio::select! {
            _ = &mut stop => break,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        // The store itself has one receiver.
        if head.receiver_count() < 2 {
            last_version = None;
            continue;
        }
        match read_changed_head(&mut connection, &mut last_version).await {
            Ok(Some(position)) => advance(&head, position),
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot read the head of the log, will retry"),
        }
    }
    // The connection only reads, so a failed close loses nothing.
    let _ = connection.close().await;
}

/// Returns the head if another connection has committed since `last_version`, which is updated.
async fn read_changed_head(
    connection: &mut SqliteConnection,
    last_version: &mut Option<i64>,
) -> Result<Option<Position>, sqlx::Error> {
    let version: i64 = sqlx::query_scalar("pragma data_version")
        .fetch_one(&mut *connection)
        .await?;
    if last_version.replace(version) == Some(version) {
        return Ok(None);
    }
    let sql = "select coalesce(max(position), 0) from factum_event";
    let head: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(Some(Position::new(head as u64)))
}
