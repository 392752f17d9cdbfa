//! [`PagedRead`]: a read of any length, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use factum::Position;
use factum::store::{MAX_PAGE, Read, RecordedEvent, Scope, Store, StoreError};
use futures_util::Stream;
use futures_util::stream::try_unfold;

use crate::split::{READ_PAGE, split};

/// The next events of a read.
#[derive(Debug)]
pub struct ReadBatch {
    /// The events, in the order of the read.
    pub events: Vec<RecordedEvent>,
    /// The head at the time of the call.
    pub head: Position,
    /// Set in the last batch if the read ended at its limit, and there may be more events.
    pub more: bool,
}

/// A read that continues page by page up to its limit.
///
/// A read without events has one batch, which contains the head.
pub struct PagedRead {
    store: Arc<dyn Store>,
    read: Read,
    /// The number of events that may still be returned; `None` for no limit.
    remaining: Option<u64>,
    /// The maximum number of events in a batch.
    max_batch: usize,
    /// The head at the time of the call. Later events are not returned.
    head: Option<Position>,
    /// The maximum number of events of the next page.
    page_size: usize,
    ready: VecDeque<ReadBatch>,
    is_complete: bool,
}

impl PagedRead {
    /// Creates a read that returns at most `limit` events. With the limit 0 it has no batch.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, read: Read, limit: Option<u64>) -> Self {
        Self {
            store,
            read,
            remaining: limit,
            max_batch: MAX_PAGE,
            head: None,
            page_size: MAX_PAGE,
            ready: VecDeque::new(),
            is_complete: limit == Some(0),
        }
    }

    /// Sets the maximum number of events in a batch.
    #[must_use]
    pub fn max_batch(mut self, max_batch: usize) -> Self {
        self.max_batch = max_batch;
        self
    }

    /// Sets the number of events of the first page. Each page has twice as many as the page before it.
    #[must_use]
    pub fn first_page(mut self, size: usize) -> Self {
        self.page_size = size.clamp(1, MAX_PAGE);
        self
    }

    /// Returns the next batch, or `None` after the last one.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn next(&mut self) -> Result<Option<ReadBatch>, StoreError> {
        while self.ready.is_empty() && !self.is_complete {
            self.read_page().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// Reads the first batch, so that its error can become the status of a call.
    ///
    /// Returns whether there are no events, and the stream of all batches.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn start(
        mut self,
    ) -> Result<
        (
            bool,
            impl Stream<Item = Result<ReadBatch, StoreError>> + Send,
        ),
        StoreError,
    > {
        let first = self.next().await?;
        let is_empty = first.as_ref().is_none_or(|batch| batch.events.is_empty());
        let batches = try_unfold((first, self), |(first, mut read)| async move {
            let next = match first {
                Some(batch) => Some(batch),
                None => read.next().await?,
            };
            Ok(next.map(|batch| (batch, (None, read))))
        });
        Ok((is_empty, batches))
    }

    async fn read_page(&mut self) -> Result<(), StoreError> {
        let limit = self
            .remaining
            .unwrap_or(u64::MAX)
            .min(self.page_size as u64);
        let read = self.read.clone().limit(limit as usize).max_bytes(READ_PAGE);
        self.page_size = (self.page_size * 2).min(MAX_PAGE);
        let page = self.store.read(read).await?;
        let is_first = self.head.is_none();
        let head = *self.head.get_or_insert(page.head);
        let received = page.events.len();
        if let Some(last) = page.events.last() {
            self.read.cursor = match self.read.scope {
                Scope::Stream(_) => last.version.get(),
                _ => last.position.get(),
            };
        }
        let mut events = page.events;
        events.retain(|event| event.position <= head);
        let is_beyond_head = events.len() < received;
        if let Some(remaining) = &mut self.remaining {
            *remaining -= events.len() as u64;
        }
        let is_full = self.remaining == Some(0);
        self.is_complete = is_full || !page.more || is_beyond_head;
        let more = is_full && page.more && !is_beyond_head;
        self.ready = self.batches(events, head);
        // A read without events has one batch, which contains the head.
        if self.ready.is_empty() && is_first && self.is_complete {
            let events = Vec::new();
            self.ready.push_back(ReadBatch { events, head, more });
        }
        if let Some(last) = self.ready.back_mut() {
            last.more = more;
        }
        Ok(())
    }

    fn batches(&self, events: Vec<RecordedEvent>, head: Position) -> VecDeque<ReadBatch> {
        let parts = split(events, self.max_batch, RecordedEvent::size);
        let batches = parts.into_iter().map(|events| ReadBatch {
            events,
            head,
            more: false,
        });
        batches.collect()
    }
}
