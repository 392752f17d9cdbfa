//! The head, as far as this process knows it.

use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{oneshot, watch};
use tracing::warn;

/// How long a commit of another process may go unseen. SQLite cannot push.
const INTERVAL: Duration = Duration::from_millis(50);

/// Moves `head` to `position`, never back.
pub(crate) fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|head| {
        let moved = position > *head;
        *head = position.max(*head);
        moved
    });
}

/// Looks for commits of other processes, as long as someone watches, until `alive` is dropped.
pub(crate) async fn others(
    mut connection: SqliteConnection,
    head: Arc<watch::Sender<Position>>,
    mut alive: oneshot::Receiver<()>,
) {
    let mut known = None;
    loop {
        tokio::select! {
            _ = &mut alive => break,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        // The store itself holds one receiver.
        if head.receiver_count() < 2 {
            known = None;
            continue;
        }
        match look(&mut connection, &mut known).await {
            Ok(Some(position)) => advance(&head, position),
            Ok(None) => {}
            Err(error) => warn!(%error, "the head was not read"),
        }
    }
    // Only read from: nothing is lost if it is not closed in order.
    let _ = connection.close().await;
}

/// The head, if someone has committed since `known`.
async fn look(
    connection: &mut SqliteConnection,
    known: &mut Option<i64>,
) -> Result<Option<Position>, sqlx::Error> {
    let version: i64 = sqlx::query_scalar("pragma data_version")
        .fetch_one(&mut *connection)
        .await?;
    if known.replace(version) == Some(version) {
        return Ok(None);
    }
    let sql = "select coalesce(max(position), 0) from factum_event";
    let head: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(Some(Position::new(head as u64)))
}
