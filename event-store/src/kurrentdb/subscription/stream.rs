//! Subscriptions to one stream.

use std::sync::Arc;

use factum::Timestamp;
use factum::store::{Position, Read, Store, StoreError, StreamId, Version};
use factum_compatible_protocols::kurrentdb::client::streams::ReadResp;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tonic::Status;

use super::super::errors::{Refused, read_status};
use super::super::event::UuidNotation;
use super::super::metadata::{self, TOMBSTONE_EVENT, VisibleEvents};
use super::super::request::{ReadOptions, Start};
use super::super::virtual_stream::ResolvedEvent;
use super::outbox::{Outbox, SubscriptionProgress};
use crate::metrics::{Protocol, SubscriptionMetrics};
use crate::split::SUBSCRIPTION_PAGE;
use crate::stop::stopped;

struct StreamSubscription {
    store: Arc<dyn Store>,
    stream: StreamId,
    /// The version up to which events were returned.
    after: Version,
    visible: VisibleEvents,
    resolve_links: bool,
    notation: UuidNotation,
    head: watch::Receiver<Position>,
    outbox: Outbox,
    has_tombstone: bool,
    metrics: SubscriptionMetrics,
    stop: watch::Receiver<bool>,
}

pub async fn subscribe(
    store: Arc<dyn Store>,
    stream: StreamId,
    request: &ReadOptions,
    stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<ReadResp, Status>> + Send + use<>, Refused> {
    let settings = metadata::load_for_read(&*store, &stream).await?;
    if settings.has_tombstone {
        return Err(Refused::StreamDeleted {
            stream: stream.to_string(),
            has_tombstone: true,
        });
    }
    let version = metadata::version(&*store, &stream).await?;
    let visible = settings.visible(&stream, version, Timestamp::now());
    let after = match request.start {
        Start::First => Version::ZERO,
        Start::At(revision) => Version::new(revision.saturating_add(1)),
        Start::End => version,
    };
    let head = store.watch();
    let metrics = SubscriptionMetrics::new(Protocol::Kurrentdb, *head.borrow());
    let subscription = StreamSubscription {
        head,
        store,
        stream,
        after: after.max(visible.after),
        visible,
        resolve_links: request.resolve_links,
        notation: request.notation,
        outbox: Outbox::default(),
        has_tombstone: false,
        metrics,
        stop,
    };
    Ok(try_unfold(subscription, |mut subscription| async move {
        let message = subscription.next().await?;
        Ok(Some((message, subscription)))
    }))
}

impl StreamSubscription {
    async fn next(&mut self) -> Result<ReadResp, Status> {
        loop {
            if let Some(message) = self.outbox.ready.pop_front() {
                return Ok(message);
            }
            if self.has_tombstone {
                let stream = self.stream.to_string();
                return Err(Refused::StreamDeleted {
                    stream,
                    has_tombstone: true,
                }
                .status("Read"));
            }
            if self
                .read_page()
                .await
                .map_err(|error| read_status(&error))?
            {
                continue;
            }
            tokio::select! {
                changed = self.head.changed() => {
                    changed.map_err(|_| read_status(&StoreError::Closed))?;
                }
                status = stopped(&mut self.stop) => return Err(status),
            }
        }
    }

    /// Reads the next events, and returns whether there are messages.
    async fn read_page(&mut self) -> Result<bool, StoreError> {
        // Marked as seen before the read, so that an event that arrives during the read ends the wait.
        self.head.borrow_and_update();
        let read = Read::stream(self.stream.clone()).after(self.after);
        let page = self.store.read(read.max_bytes(SUBSCRIPTION_PAGE)).await?;
        if !page.more {
            self.metrics.advance(page.head);
        }
        if page.more {
            self.outbox.caught_up(false, self.progress());
        }
        for event in page.events {
            self.after = event.version;
            if event.name == TOMBSTONE_EVENT {
                self.has_tombstone = true;
                break;
            }
            if self.visible.contains(&event) {
                let resolved = ResolvedEvent::new(&*self.store, event, self.resolve_links).await?;
                self.outbox.ready.push_back(resolved.message(self.notation));
            }
        }
        if !page.more {
            self.outbox.caught_up(true, self.progress());
        }
        Ok(!self.outbox.ready.is_empty() || self.has_tombstone)
    }

    fn progress(&self) -> SubscriptionProgress {
        SubscriptionProgress::Revision(self.after.get() as i64 - 1)
    }
}
