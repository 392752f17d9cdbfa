//! Subscriptions to the log of all streams, and to virtual streams.

use std::sync::Arc;

use factum::engine::Subscription;
use factum::store::{Page, Position, Query, Read, RecordedEvent, Store, StoreError};
use factum_compatible_protocols::kurrentdb::client::streams::ReadResp;
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::{Checkpoint, Content};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::sync::watch;
use tonic::Status;

use super::super::errors::{Refused, read_status};
use super::super::event::UuidNotation;
use super::super::filter::EventFilter;
use super::super::origin;
use super::super::request::{ReadOptions, Source, Start};
use super::super::virtual_stream::{ResolvedEvent, VirtualStream};
use super::outbox::{Outbox, SubscriptionProgress, now};
use crate::log_head::is_behind;
use crate::metrics::{Protocol, SubscriptionMetrics};
use crate::split::SUBSCRIPTION_PAGE;
use crate::stop::stopped;

/// The events that a subscription returns.
enum LogSelection {
    Virtual(VirtualStream),
    All(Option<EventFilter>),
}

struct AllSubscription {
    store: Arc<dyn Store>,
    subscription: Subscription,
    selection: LogSelection,
    resolve_links: bool,
    notation: UuidNotation,
    /// The position of the last checkpoint.
    checkpoint: u64,
    outbox: Outbox,
    metrics: SubscriptionMetrics,
    stop: watch::Receiver<bool>,
}

pub async fn subscribe(
    store: Arc<dyn Store>,
    request: ReadOptions,
    stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<ReadResp, Status>> + Send + use<>, Refused> {
    let newest = Read::all(Query::all()).backward().limit(1);
    let head = store.read(newest).await?.head;
    let after = match request.start {
        Start::First => Position::ZERO,
        Start::At(position) => Position::new(position),
        Start::End => head,
    };
    let (query, selection) = match request.source {
        Source::Virtual(stream) => (stream.query(), LogSelection::Virtual(stream)),
        Source::All(filter) => {
            let query = filter.as_ref().map_or_else(Query::all, EventFilter::query);
            (query, LogSelection::All(filter))
        }
        Source::Stream(_) => return Err(Refused::Invalid("expected all streams".to_owned())),
    };
    let mut log = AllSubscription {
        subscription: Subscription::new(store.clone(), query, after).page_bytes(SUBSCRIPTION_PAGE),
        store,
        selection,
        resolve_links: request.resolve_links,
        notation: request.notation,
        checkpoint: after.get(),
        outbox: Outbox::default(),
        metrics: SubscriptionMetrics::new(Protocol::Kurrentdb, after),
        stop,
    };
    if request.start == Start::First && matches!(log.selection, LogSelection::All(_)) {
        log.add(origin::event()).await?;
    }
    if after == head {
        log.outbox
            .caught_up(true, SubscriptionProgress::Position(after.get()));
    }
    Ok(try_unfold(log, |mut log| async move {
        let message = log.next().await?;
        Ok(Some((message, log)))
    }))
}

impl AllSubscription {
    async fn next(&mut self) -> Result<ReadResp, Status> {
        loop {
            if let Some(message) = self.outbox.ready.pop_front() {
                return Ok(message);
            }
            let before = self.subscription.position();
            let page = tokio::select! {
                page = self.subscription.next_page() => page,
                status = stopped(&mut self.stop) => return Err(status),
            };
            let added = match page {
                Ok(page) => self.add_page(page, before).await,
                Err(error) => Err(error),
            };
            added.map_err(|error| read_status(&error))?;
        }
    }

    async fn add_page(&mut self, page: Page, before: Position) -> Result<(), StoreError> {
        let (more, through) = (page.more, page.through());
        self.metrics.advance(through);
        if more && is_behind(before, page.head) {
            self.outbox
                .caught_up(false, SubscriptionProgress::Position(before.get()));
        }
        for event in page.events {
            let position = event.position.get();
            self.add(event).await?;
            self.add_checkpoint(position);
        }
        self.add_checkpoint(through.get());
        if !more {
            self.outbox
                .caught_up(true, SubscriptionProgress::Position(through.get()));
        }
        Ok(())
    }

    async fn add(&mut self, event: RecordedEvent) -> Result<(), StoreError> {
        let resolved = match &self.selection {
            LogSelection::Virtual(stream) => {
                ResolvedEvent::of_virtual(stream, event, self.resolve_links)
            }
            LogSelection::All(Some(filter)) if !filter.matches(&event) => return Ok(()),
            LogSelection::All(_) => {
                ResolvedEvent::new(&*self.store, event, self.resolve_links).await?
            }
        };
        self.outbox.ready.push_back(resolved.message(self.notation));
        Ok(())
    }

    /// Reports the position up to which a filtered subscription has searched, if the interval has passed.
    fn add_checkpoint(&mut self, position: u64) {
        let LogSelection::All(Some(filter)) = &self.selection else {
            return;
        };
        let searched = position.saturating_sub(self.checkpoint);
        let intervals = searched / filter.checkpoint_interval;
        if intervals == 0 {
            return;
        }
        // Positions have no gaps, so a difference of positions is a number of events.
        self.checkpoint += intervals * filter.checkpoint_interval;
        let (commit_position, prepare_position) = (self.checkpoint, self.checkpoint);
        let timestamp = Some(now());
        let checkpoint = Checkpoint {
            commit_position,
            prepare_position,
            timestamp,
        };
        self.outbox.push(Content::Checkpoint(checkpoint));
    }
}
