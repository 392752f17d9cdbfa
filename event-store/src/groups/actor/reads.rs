//! Reads of the log: the next page of the group, and the events of retried dead letters.

use std::sync::Arc;

use factum::store::{RecordedEvent, StoreError};
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::warn;

use super::state::{Actor, FAILURE_PAUSE, PageRead, RetryRead};
use crate::groups::consumer::StopReason;
use crate::groups::dead_letters;
use crate::groups::partition_key::{PartitionKey, hash, partition_of};
use crate::groups::settings::Distribution;
use crate::groups::stop::StopCause;
use crate::groups::window::Offered;

/// The maximum number of events in a page.
const PAGE: usize = 250;
/// The maximum number of retried dead letters that are read at the same time.
const RETRIES: usize = 16;

impl Actor {
    /// Starts the next reads, if there is room for their events.
    pub fn start_reads(&mut self) {
        if self.page.is_none() && Instant::now() >= self.read_at {
            let head = self.head.borrow_and_update().get();
            let after = self.coordinator.next_read();
            if let Some(after) = after.filter(|after| *after < head || self.must_read) {
                self.must_read = false;
                let read = self.control.document.settings.scope.read_after(after);
                match read {
                    Ok(read) => {
                        let (store, read) = (self.context.store.clone(), read.limit(PAGE));
                        self.page = Some(Box::pin(async move {
                            let page = store.read(read).await;
                            PageRead { after, page }
                        }));
                    }
                    Err(error) => self.end(StopReason::StoreFailed, error.to_string()),
                }
            }
        }
        if self.retries.is_none() {
            let missing = self.coordinator.missing_retries(RETRIES);
            if !missing.is_empty() {
                let store = self.context.store.clone();
                self.retries = Some(Box::pin(async move {
                    let reads = missing.into_iter().map(|(partition, position)| {
                        let store = store.clone();
                        async move {
                            (
                                partition,
                                position,
                                dead_letters::event(&*store, position).await,
                            )
                        }
                    });
                    RetryRead {
                        events: join_all(reads).await,
                    }
                }));
            }
        }
    }

    /// Gives the events of a page to their partitions.
    pub async fn add_page(&mut self, read: PageRead) {
        let PageRead { after, page } = read;
        let page = match page {
            Ok(page) => page,
            Err(StoreError::Closed) => {
                return self.end(StopReason::ServerStopping, "the store is closed");
            }
            Err(error) => {
                let group = self.context.name.as_str();
                warn!(%error, group, "cannot read the events of a group, retrying");
                self.must_read = true;
                self.read_at = Instant::now() + FAILURE_PAUSE;
                return;
            }
        };
        let (head, examined) = (page.head.get(), self.coordinator.examined());
        if head < examined {
            let message = format!(
                "the position {examined} of the group is beyond the head of the log: {head}; the log was replaced or \
                 restored from a backup, so reset the group to a position that it has"
            );
            return self.stop_group(StopCause::BeyondHead, message).await;
        }
        let through = page.through().get();
        let settings = self.control.document.settings.clone();
        let events = page.events.into_iter();
        let accepted = events.filter(|event| settings.accepts(event));
        let events = accepted.map(|event| self.offered(event)).collect();
        self.coordinator.add_page(after, events, through);
    }

    /// Gives the events of retried dead letters to their partitions.
    pub fn add_retries(&mut self, read: RetryRead) {
        for (partition, position, event) in read.events {
            match event {
                Ok(event) => {
                    let offered = event.map(|event| self.offered(event).1);
                    self.coordinator.add_retry(partition, position, offered);
                }
                Err(error) => {
                    let group = self.context.name.as_str();
                    warn!(%error, group, position, "cannot read the event of a dead letter, retrying");
                }
            }
        }
    }

    fn offered(&self, event: RecordedEvent) -> (u16, Offered<Arc<RecordedEvent>>) {
        let settings = &self.control.document.settings;
        let key = settings.partition_key.of(&event);
        let position = event.position.get();
        let partition = partition_of(key.as_deref(), position, settings.partitions);
        let pin = match settings.distribution {
            Distribution::PinnedByStream => hash(event.stream.as_str()),
            Distribution::PinnedByCorrelationId => PartitionKey::CorrelationId
                .of(&event)
                .map_or(0, |key| hash(&key)),
            _ => 0,
        };
        let offered = Offered {
            position,
            key,
            size: event.size(),
            pin,
            event: Arc::new(event),
        };
        (partition, offered)
    }
}
