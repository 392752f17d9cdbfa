//! Subscriptions: stored events, then new ones, and the head of the log. They are never silent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use factum::Position;
use factum::engine::Subscription;
use factum::store::{MAX_PAGE, Page, Store};
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::refusal::{invalid_status, store_status};
use factum_store_protocol::v1::subscribe_request::Start;
use factum_store_protocol::v1::subscribe_response::Message;
use factum_store_protocol::{event, read as messages, v1};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::log_head::read_head;
use crate::metrics::{Protocol, SubscriptionMetrics};
use crate::split::split;
use crate::stop::stopped;

/// The longest time without a message, and the default.
const MAX_HEARTBEAT: Duration = Duration::from_secs(5);
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);

/// A subscription and the messages that it has to send.
struct Subscriber {
    subscription: Subscription,
    heartbeat: Duration,
    max_batch: usize,
    ready: VecDeque<Message>,
    last_message: Instant,
    /// Set while the client has received all stored events.
    is_caught_up: bool,
    metrics: SubscriptionMetrics,
    stop: watch::Receiver<bool>,
}

pub async fn subscribe(
    store: Arc<dyn Store>,
    request: v1::SubscribeRequest,
    stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<v1::SubscribeResponse, Status>> + Send, Status> {
    let invalid = |invalid: InvalidMessage| invalid_status(&invalid);
    let query = messages::filter(request.query).map_err(invalid)?;
    query
        .check()
        .map_err(|error| invalid(InvalidMessage::new("query", error)))?;
    let heartbeat = heartbeat(request.heartbeat.as_ref()).map_err(invalid)?;
    let max_batch = match request.max_batch {
        0 => MAX_PAGE,
        count if count as usize <= MAX_PAGE => count as usize,
        count => {
            let rule = format!("expected 1 to {MAX_PAGE}, got {count}");
            return Err(invalid(InvalidMessage::new("max_batch", rule)));
        }
    };
    let head = read_head(&*store).await;
    let head = head.map_err(|error| store_status(&error))?;
    let after = match request.start {
        None => Position::ZERO,
        Some(Start::After(position)) => Position::new(position),
        Some(Start::LiveOnly(_)) => head,
    };
    let mut subscriber = Subscriber {
        subscription: Subscription::new(store, query, after),
        heartbeat,
        max_batch,
        ready: VecDeque::new(),
        last_message: Instant::now(),
        is_caught_up: false,
        metrics: SubscriptionMetrics::new(Protocol::Native, after),
        stop,
    };
    if after == head {
        subscriber.catch_up(after);
    }
    Ok(try_unfold(subscriber, |mut subscriber| async move {
        let message = Some(subscriber.next().await?);
        Ok(Some((v1::SubscribeResponse { message }, subscriber)))
    }))
}

impl Subscriber {
    /// Waits for the next message, at most for the heartbeat.
    async fn next(&mut self) -> Result<Message, Status> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                self.last_message = Instant::now();
                return Ok(message);
            }
            let before = self.subscription.position();
            let page = tokio::select! {
                page = self.subscription.next_page() => page,
                () = sleep_until(self.last_message + self.heartbeat) => {
                    let position = self.subscription.position().get();
                    self.ready.push_back(Message::Checkpoint(v1::Checkpoint { position }));
                    continue;
                }
                status = stopped(&mut self.stop) => return Err(status),
            };
            let page = page.map_err(|error| store_status(&error))?;
            self.add(&page, before);
        }
    }

    fn add(&mut self, page: &Page, before: Position) {
        self.metrics.advance(page.through());
        if page.more && std::mem::take(&mut self.is_caught_up) {
            self.metrics.fell_behind();
            self.ready.push_back(Message::FellBehind(v1::FellBehind {
                position: before.get(),
                head: page.head.get(),
            }));
        }
        let parts = split(&page.events, self.max_batch, |event| event.size());
        let count = parts.len();
        for (index, part) in parts.into_iter().enumerate() {
            // The position of a part is that of its last event; that of the last part covers the complete page.
            let position = match part.last() {
                Some(last) if index + 1 < count => last.position,
                _ => page.through(),
            };
            self.ready.push_back(Message::Events(v1::EventBatch {
                events: part.into_iter().map(event::to_message).collect(),
                position: position.get(),
            }));
        }
        if !page.more && !self.is_caught_up {
            self.catch_up(page.through());
        }
    }

    fn catch_up(&mut self, position: Position) {
        self.is_caught_up = true;
        let position = position.get();
        self.ready
            .push_back(Message::CaughtUp(v1::CaughtUp { position }));
    }
}

/// Sends the head of the log now, whenever it moves, and once in each heartbeat.
pub fn watch_head(
    store: &dyn Store,
    request: &v1::WatchHeadRequest,
    stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<v1::WatchHeadResponse, Status>> + Send + 'static, Status> {
    let heartbeat = heartbeat(request.heartbeat.as_ref());
    let heartbeat = heartbeat.map_err(|invalid| invalid_status(&invalid))?;
    let mut head = store.watch();
    head.mark_changed();
    Ok(try_unfold(
        (head, stop),
        move |(mut head, mut stop)| async move {
            let pause = sleep_until(Instant::now() + heartbeat);
            tokio::select! {
                changed = head.changed() => {
                    changed.map_err(|_| store_status(&factum::store::StoreError::Closed))?;
                }
                () = pause => {}
                status = stopped(&mut stop) => return Err(status),
            }
            let position = head.borrow_and_update().get();
            Ok(Some((v1::WatchHeadResponse { position }, (head, stop))))
        },
    ))
}

fn heartbeat(message: Option<&prost_types::Duration>) -> Result<Duration, InvalidMessage> {
    let Some(message) = message else {
        return Ok(MAX_HEARTBEAT);
    };
    let duration = Duration::try_from(*message).unwrap_or_default();
    match (MIN_HEARTBEAT..=MAX_HEARTBEAT).contains(&duration) {
        true => Ok(duration),
        false => Err(InvalidMessage::new("heartbeat", "expected 100 ms to 5 s")),
    }
}
