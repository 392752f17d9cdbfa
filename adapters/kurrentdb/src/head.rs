//! [`HeadWatch`]: the position of the newest event, which the server sends with each new event.

use std::time::Duration;

use factum_core::error::StoreError;
use factum_core::position::Position;
use kurrentdb::{Client, StreamPosition, SubscribeToAllOptions, SubscriptionEvent};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::error::{RequestKind, store_error};
use crate::query::visible_streams;
use crate::read::head;

/// The pause before the next try to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// The head of the log. A task receives it until this is dropped.
pub struct HeadWatch {
    head: watch::Sender<Position>,
    task: JoinHandle<()>,
}

impl HeadWatch {
    /// Asks the server for the head, and starts to watch it.
    pub async fn start(client: Client) -> Result<Self, StoreError> {
        let sender = watch::Sender::new(head(&client).await?);
        let task = tokio::spawn(run(client, sender.clone()));
        Ok(Self { head: sender, task })
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
        advance(&self.head, position);
    }
}

impl Drop for HeadWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn advance(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|head| {
        let is_newer = position > *head;
        *head = position.max(*head);
        is_newer
    });
}

async fn run(client: Client, sender: watch::Sender<Position>) {
    let mut has_warned = false;
    loop {
        let Err(error) = follow(&client, &sender, &mut has_warned).await;
        if has_warned {
            debug!(%error, "the log of the server is not received");
        } else {
            warn!(%error, "the log of the server is not received; trying again");
            has_warned = true;
        }
        sleep(PAUSE).await;
    }
}

/// Follows the log until the connection fails.
async fn follow(
    client: &Client,
    sender: &watch::Sender<Position>,
    has_warned: &mut bool,
) -> Result<std::convert::Infallible, StoreError> {
    let options = SubscribeToAllOptions::default()
        .position(StreamPosition::End)
        .filter(visible_streams());
    let mut subscription = client.subscribe_to_all(&options).await;
    loop {
        let event = subscription.next_subscription_event().await;
        match event.map_err(|error| store_error(error, RequestKind::Read))? {
            // The events between the last connection and this one are not sent.
            SubscriptionEvent::Confirmed(_) => {
                advance(sender, head(client).await?);
                *has_warned = false;
            }
            SubscriptionEvent::EventAppeared(event) => {
                let position = event.get_original_event().position.commit;
                advance(sender, Position::new(position));
            }
            _ => {}
        }
    }
}
