//! [`follow()`]: a subscriber that connects again after each failure, and resumes after the last event.

use std::time::{Duration, Instant};

use factum_store_protocol::v1;
use factum_store_protocol::v1::event_store_service_client::EventStoreServiceClient;
use factum_store_protocol::v1::subscribe_request::Start;
use factum_store_protocol::v1::subscribe_response::Message;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// The longest time without a message: the heartbeat of five seconds, and time for a loaded machine.
pub const MAX_SILENCE: Duration = Duration::from_secs(7);
const PAUSE: Duration = Duration::from_millis(10);

/// The events that a subscriber to all events has received.
#[derive(Debug, Default)]
pub struct Received {
    /// The ids, in order. The positions have no gap.
    pub ids: Vec<String>,
    /// The number of times that it connected.
    pub connections: usize,
    /// The number of times that the server reported that it was too slow.
    pub fell_behind: usize,
    /// The number of times that the server reported that it has received all events.
    pub caught_up: usize,
    pub checkpoints: usize,
}

impl Received {
    /// Returns the position of the last event.
    pub fn position(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Adds a message of the server.
    pub fn add(&mut self, message: Message) {
        match message {
            Message::Events(batch) => {
                for event in batch.events {
                    self.ids.push(event.id);
                    assert_eq!(event.position, self.position(), "a gap or a duplicate");
                }
                assert_eq!(batch.position, self.position());
            }
            Message::CaughtUp(message) => {
                self.caught_up += 1;
                assert_eq!(message.position, self.position());
            }
            Message::FellBehind(message) => {
                self.fell_behind += 1;
                assert_eq!(message.position, self.position());
                assert!(message.head > message.position);
            }
            Message::Checkpoint(message) => {
                self.checkpoints += 1;
                assert_eq!(message.position, self.position());
            }
        }
    }
}

/// Subscribes to all events after `position`.
pub async fn subscribe(
    client: &mut EventStoreServiceClient<Channel>,
    position: u64,
) -> Result<Streaming<v1::SubscribeResponse>, Status> {
    let request = v1::SubscribeRequest {
        start: Some(Start::After(position)),
        ..v1::SubscribeRequest::default()
    };
    Ok(client.subscribe(request).await?.into_inner())
}

/// Receives all events of the server at `url` up to the position in `end`.
pub async fn follow(url: String, mut end: watch::Receiver<Option<u64>>) -> Received {
    let mut received = Received::default();
    let is_complete = |end: &watch::Receiver<Option<u64>>, received: &Received| {
        end.borrow().is_some_and(|end| end <= received.position())
    };
    while !is_complete(&end, &received) {
        let Ok(mut client) = EventStoreServiceClient::connect(url.clone()).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(mut messages) = subscribe(&mut client, received.position()).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        received.connections += 1;
        let mut last_message = Instant::now();
        while !is_complete(&end, &received) {
            tokio::select! {
                message = messages.message() => match message {
                    Ok(Some(v1::SubscribeResponse { message: Some(message) })) => {
                        received.add(message);
                        last_message = Instant::now();
                    }
                    Ok(_) => panic!("a subscription ends with an error only"),
                    Err(_) => break,
                },
                changed = end.changed() => changed.expect("the end is set"),
                () = tokio::time::sleep_until((last_message + MAX_SILENCE).into()) => {
                    panic!("no message for {MAX_SILENCE:?}");
                }
            }
        }
    }
    received
}
