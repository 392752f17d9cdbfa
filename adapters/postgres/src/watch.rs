//! The head, as far as this process knows it: pushed by the server, one notification for each commit.

use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{oneshot, watch};
use tracing::warn;

/// How often the head is read all the same, should a notification get lost.
const SAFETY_NET: Duration = Duration::from_secs(1);

/// Moves `head` to `position`, never back.
pub(crate) fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|head| {
        let moved = position > *head;
        *head = position.max(*head);
        moved
    });
}

/// Listens until `alive` is dropped. The listener connects again by itself.
pub(crate) async fn listen(
    mut listener: PgListener,
    pool: PgPool,
    head: Arc<watch::Sender<Position>>,
    mut alive: oneshot::Receiver<()>,
) {
    loop {
        let heard = tokio::select! {
            _ = &mut alive => return,
            heard = tokio::time::timeout(SAFETY_NET, listener.try_recv()) => heard,
        };
        let position = match heard {
            Ok(Ok(Some(notification))) => notification.payload().parse().ok(),
            // Silence, or a connection that was lost: what it would have said is read instead.
            _ => read(&pool).await,
        };
        if let Some(position) = position {
            advance(&head, Position::new(position));
        }
    }
}

async fn read(pool: &PgPool) -> Option<u64> {
    let head: Result<i64, _> = sqlx::query_scalar("select position from head")
        .fetch_one(pool)
        .await;
    match head {
        Ok(position) => Some(position as u64),
        Err(error) => {
            warn!(%error, "the head was not read");
            None
        }
    }
}
