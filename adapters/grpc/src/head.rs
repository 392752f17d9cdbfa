//! [`HeadWatch`]: the head of the log, which the server sends whenever it moves.

use std::time::Duration;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_store_client::Connection;
use factum_store_protocol::refusal::{RequestKind, store_error};
use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};
use tracing::{debug, warn};

/// The pause before the next try to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// The time without a message after which the connection is given up.
///
/// The server sends one every five seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// The head of the log. A task receives it until this is dropped.
pub struct HeadWatch {
    head: watch::Sender<Position>,
    task: JoinHandle<()>,
}

impl HeadWatch {
    /// Asks the server for the head, and starts to watch it.
    pub async fn start(
        mut client: EventStoreServiceClient<Connection>,
    ) -> Result<Self, StoreError> {
        let mut heads = connect(&mut client)
            .await
            .map_err(|status| store_error(status, RequestKind::Read))?;
        let first = receive(&mut heads)
            .await
            .map_err(|status| store_error(status, RequestKind::Read))?;
        let head = watch::Sender::new(first);
        let sender = head.clone();
        let task = tokio::spawn(async move {
            loop {
                let status = forward(&mut heads, &sender).await;
                debug!(%status, "the head of the server is not received");
                heads = reconnect(&mut client).await;
            }
        });
        Ok(Self { head, task })
    }

    /// Returns a receiver of the head.
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Returns the last known head.
    pub fn position(&self) -> Position {
        *self.head.borrow()
    }

    /// Notes that the log has an event at `position`.
    pub fn advance(&self, position: Position) {
        self.head.send_if_modified(|head| {
            let is_newer = position > *head;
            *head = position.max(*head);
            is_newer
        });
    }
}

impl Drop for HeadWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(
    client: &mut EventStoreServiceClient<Connection>,
) -> Result<Streaming<v1::WatchHeadResponse>, Status> {
    let heads = client.watch_head(v1::WatchHeadRequest::default()).await?;
    Ok(heads.into_inner())
}

async fn reconnect(
    client: &mut EventStoreServiceClient<Connection>,
) -> Streaming<v1::WatchHeadResponse> {
    let mut has_warned = false;
    loop {
        sleep(PAUSE).await;
        match connect(client).await {
            Ok(heads) => return heads,
            Err(status) if !has_warned => {
                warn!(%status, "the event store server cannot be reached; trying again");
                has_warned = true;
            }
            Err(_) => {}
        }
    }
}

/// Forwards heads until the stream fails, and returns the reason.
async fn forward(
    heads: &mut Streaming<v1::WatchHeadResponse>,
    sender: &watch::Sender<Position>,
) -> Status {
    loop {
        match receive(heads).await {
            // Also a head that is lower, because the log was restored from a backup.
            Ok(position) => {
                sender.send_if_modified(|head| std::mem::replace(head, position) != position);
            }
            Err(status) => return status,
        }
    }
}

async fn receive(heads: &mut Streaming<v1::WatchHeadResponse>) -> Result<Position, Status> {
    match timeout(SILENCE, heads.message()).await {
        Ok(Ok(Some(message))) => Ok(Position::new(message.position)),
        Ok(Ok(None)) => Err(Status::unavailable("the server ended the stream of heads")),
        Ok(Err(status)) => Err(status),
        Err(_) => Err(Status::unavailable("the server is silent")),
    }
}
