//! Subscriptions: stored events, then new ones, and the head of the log. They are never silent.

use std::collections::VecDeque;
use std::time::Duration;

use factum::Position;
use factum::engine::{LogPage as _, Subscription};
use factum::store::{MAX_PAGE, Store};
use factum_store_protocol::encoded::SubscribeResponse;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::refusal::{invalid_status, store_status};
use factum_store_protocol::v1::subscribe_request::Start;
use factum_store_protocol::v1::subscribe_response::Message;
use factum_store_protocol::{read as messages, v1};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::log_head::is_behind;
use crate::metrics::{Protocol, SubscriptionMetrics};
use crate::native::encoded_log::{EncodedLog, EncodedPage};
use crate::split::SUBSCRIPTION_PAGE;
use crate::stop::stopped;

/// The longest time without a message, and the default.
const MAX_HEARTBEAT: Duration = Duration::from_secs(5);
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);

/// A subscription and the messages that it has to send.
struct Subscriber {
    subscription: Subscription<EncodedLog>,
    heartbeat: Duration,
    ready: VecDeque<SubscribeResponse>,
    last_message: Instant,
    /// Set while the client has received all stored events.
    is_caught_up: bool,
    metrics: SubscriptionMetrics,
    stop: watch::Receiver<bool>,
}

/// Subscribes to `log`, whose head is `head`.
pub fn subscribe(
    log: EncodedLog,
    head: Position,
    request: v1::SubscribeRequest,
    stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<SubscribeResponse, Status>> + Send, Status> {
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
    let after = match request.start {
        None => Position::ZERO,
        Some(Start::After(position)) => Position::new(position),
        Some(Start::LiveOnly(_)) => head,
    };
    let mut subscriber = Subscriber {
        subscription: Subscription::of(log, query, after)
            .page_size(max_batch)
            .page_bytes(SUBSCRIPTION_PAGE),
        heartbeat,
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
        Ok(Some((subscriber.next().await?, subscriber)))
    }))
}

impl Subscriber {
    /// Waits for the next message, at most for the heartbeat.
    async fn next(&mut self) -> Result<SubscribeResponse, Status> {
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
                    self.push(Message::Checkpoint(v1::Checkpoint { position }));
                    continue;
                }
                status = stopped(&mut self.stop) => return Err(status),
            };
            let page = page.map_err(|error| store_status(&error))?;
            self.add(page, before);
        }
    }

    fn add(&mut self, page: EncodedPage, before: Position) {
        let (through, head, more) = (page.through(), page.head(), page.more());
        self.metrics.advance(through);
        if more && is_behind(before, head) && std::mem::take(&mut self.is_caught_up) {
            self.metrics.fell_behind();
            self.push(Message::FellBehind(v1::FellBehind {
                position: before.get(),
                head: head.get(),
            }));
        }
        if !page.events.is_empty() {
            let batch = SubscribeResponse::of(page.events, through);
            self.ready.push_back(batch);
        }
        if !more && !self.is_caught_up {
            self.catch_up(through);
        }
    }

    fn catch_up(&mut self, position: Position) {
        self.is_caught_up = true;
        let position = position.get();
        self.push(Message::CaughtUp(v1::CaughtUp { position }));
    }

    fn push(&mut self, message: Message) {
        let message = Some(message);
        self.ready
            .push_back(v1::SubscribeResponse { message }.into());
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
