//! Watches the head of the log, and wakes readers when it moves.
//!
//! The server sends a notification for each commit that appends.

use std::sync::Arc;
use std::time::Duration;

use factum_core::position::Position;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{oneshot, watch};
use tracing::warn;

/// The interval at which the head is read without a notification, in case one was lost.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(1);

/// Sets `head` to `position` unless it is already higher.
pub fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|head| {
        let moved = position > *head;
        *head = position.max(*head);
        moved
    });
}

/// Advances `head` until the sender of `stop` is dropped or the pool is closed.
///
/// The listener reconnects by itself.
pub async fn listen(
    mut listener: PgListener,
    pool: PgPool,
    head: Arc<watch::Sender<Position>>,
    stop: oneshot::Receiver<()>,
) {
    let follow = async {
        while let Some(position) = next_position(&mut listener, &pool).await {
            advance(&head, position);
        }
    };
    tokio::select! {
        _ = stop => {}
        () = follow => {}
    }
}

/// Returns a position that the log has reached, or `None` after the pool was closed.
async fn next_position(listener: &mut PgListener, pool: &PgPool) -> Option<Position> {
    loop {
        let received = tokio::time::timeout(FALLBACK_INTERVAL, listener.try_recv()).await;
        let position = match received {
            Ok(Ok(Some(notification))) => notification.payload().parse().ok(),
            // A timeout or a lost connection: read the head instead.
            Ok(Ok(None)) | Err(_) => read_head(pool).await,
            Ok(Err(sqlx::Error::PoolClosed)) => return None,
            Ok(Err(error)) => {
                warn!(%error, "cannot listen for new events, will retry");
                tokio::time::sleep(FALLBACK_INTERVAL).await;
                read_head(pool).await
            }
        };
        if let Some(position) = position {
            return Some(Position::new(position));
        }
    }
}

async fn read_head(pool: &PgPool) -> Option<u64> {
    let head: Result<i64, _> = sqlx::query_scalar("select position from head")
        .fetch_one(pool)
        .await;
    match head {
        Ok(position) => Some(position as u64),
        Err(sqlx::Error::PoolClosed) => None,
        Err(error) => {
            warn!(%error, "cannot read the head of the log, will retry");
            tokio::time::sleep(FALLBACK_INTERVAL).await;
            None
        }
    }
}
