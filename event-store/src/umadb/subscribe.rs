//! Subscriptions: stored events, then new ones, without end.

use std::collections::VecDeque;
use std::sync::Arc;

use factum::Position;
use factum::engine::Subscription;
use factum::store::{RecordedEvent, Store};
use factum_compatible_protocols::umadb;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tonic::Status;

use super::error::store_failed;
use super::read::batch_size;
use super::{event, query};
use crate::metrics::{Protocol, SubscriptionMetrics};
use crate::split::{SUBSCRIPTION_PAGE, split};
use crate::stop::stopped;

/// A subscription and the events that it has to send.
struct DcbSubscriber {
    subscription: Subscription,
    batch_size: usize,
    ready: VecDeque<Vec<umadb::SequencedEvent>>,
    metrics: SubscriptionMetrics,
    is_complete: bool,
    stop: watch::Receiver<bool>,
}

pub fn subscribe(
    store: Arc<dyn Store>,
    request: umadb::SubscribeRequest,
    stop: watch::Receiver<bool>,
) -> impl Stream<Item = Result<umadb::SubscribeResponse, Status>> + Send {
    let query = query::from_message(request.query);
    let after = request.after.unwrap_or(0);
    let subscriber = DcbSubscriber {
        subscription: Subscription::new(store, query, Position::new(after))
            .page_bytes(SUBSCRIPTION_PAGE),
        batch_size: batch_size(request.batch_size),
        ready: VecDeque::new(),
        metrics: SubscriptionMetrics::new(Protocol::Umadb, Position::new(after)),
        // No event has a higher position.
        is_complete: after == u64::MAX,
        stop,
    };
    try_unfold(subscriber, |mut subscriber| async move {
        if subscriber.is_complete {
            return Ok(None);
        }
        let events = subscriber.next().await?;
        Ok(Some((umadb::SubscribeResponse { events }, subscriber)))
    })
}

impl DcbSubscriber {
    /// Waits for the next events. There is at least one, because clients end at an answer without events.
    async fn next(&mut self) -> Result<Vec<umadb::SequencedEvent>, Status> {
        loop {
            if let Some(events) = self.ready.pop_front() {
                return Ok(events);
            }
            let page = tokio::select! {
                page = self.subscription.next_page() => page,
                status = stopped(&mut self.stop) => return Err(status),
            };
            let page = page.map_err(|error| store_failed(&error))?;
            self.metrics.advance(page.through());
            let parts = split(page.events, self.batch_size, RecordedEvent::size);
            let parts = parts.into_iter();
            self.ready = parts
                .map(|part| part.iter().map(event::to_message).collect())
                .collect();
        }
    }
}
