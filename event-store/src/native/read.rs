//! Reads: pages of the store as a sequence of messages.

use std::collections::VecDeque;
use std::sync::Arc;

use factum::Position;
use factum::store::{MAX_PAGE, Query, Read, RecordedEvent, Scope, Store, StoreError};
use factum_store_protocol::refusal::{invalid_status, store_status, stream_not_found};
use factum_store_protocol::{event, read as messages, time, v1};
use futures_util::stream::try_unfold;
use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use super::split::split;

/// The next events of a read.
struct ReadBatch {
    events: Vec<v1::Event>,
    head: Position,
    /// Set in the last batch if the read ended at its limit, and there may be more events.
    more: bool,
}

/// A read that continues page by page up to its limit.
struct PagedRead {
    store: Arc<dyn Store>,
    read: Read,
    /// The number of events that may still be returned; `None` for no limit.
    remaining: Option<u64>,
    /// The head at the time of the call. Later events are not returned.
    head: Option<Position>,
    ready: VecDeque<ReadBatch>,
    is_complete: bool,
}

impl PagedRead {
    fn new(store: Arc<dyn Store>, read: Read, limit: u64) -> Self {
        Self {
            store,
            read,
            remaining: (limit > 0).then_some(limit),
            head: None,
            ready: VecDeque::new(),
            is_complete: false,
        }
    }

    /// Returns the next batch, or `None` after the last one.
    async fn next(&mut self) -> Result<Option<ReadBatch>, StoreError> {
        while self.ready.is_empty() && !self.is_complete {
            self.read_page().await?;
        }
        Ok(self.ready.pop_front())
    }

    async fn read_page(&mut self) -> Result<(), StoreError> {
        let limit = self.remaining.unwrap_or(u64::MAX).min(MAX_PAGE as u64);
        let read = self.read.clone().limit(limit as usize);
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
        self.ready = batches(&events, head);
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
}

fn batches(events: &[RecordedEvent], head: Position) -> VecDeque<ReadBatch> {
    let parts = split(events, MAX_PAGE, |event| event.size());
    let batches = parts.into_iter().map(|part| ReadBatch {
        events: part.into_iter().map(event::to_message).collect(),
        head,
        more: false,
    });
    batches.collect()
}

/// Reads the first batch, so that its error becomes the status of the call, and returns all batches.
async fn run(
    store: Arc<dyn Store>,
    read: Read,
    limit: u64,
) -> Result<(bool, impl Stream<Item = Result<ReadBatch, Status>> + Send), Status> {
    let mut read = PagedRead::new(store, read, limit);
    let first = read.next().await.map_err(|error| store_status(&error))?;
    let is_empty = first.as_ref().is_none_or(|batch| batch.events.is_empty());
    let batches = try_unfold((first, read), |(first, mut read)| async move {
        let next = match first {
            Some(batch) => Some(batch),
            None => read.next().await.map_err(|error| store_status(&error))?,
        };
        Ok(next.map(|batch| (batch, (None, read))))
    });
    Ok((is_empty, batches))
}

pub async fn stream(
    store: Arc<dyn Store>,
    request: v1::ReadStreamRequest,
) -> Result<impl Stream<Item = Result<v1::ReadStreamResponse, Status>> + Send, Status> {
    let (limit, must_exist) = (request.limit, request.must_exist);
    let name = request.stream.clone();
    let read = messages::of_stream(request).map_err(|invalid| invalid_status(&invalid))?;
    let whole = read.scope.clone();
    let (is_empty, batches) = run(store.clone(), read, limit).await?;
    // The stream may have events outside of the range of the read.
    if is_empty && must_exist && !has_events(&*store, whole).await? {
        return Err(stream_not_found(&name));
    }
    Ok(batches.map(|batch| {
        let ReadBatch { events, head, more } = batch?;
        let head = head.get();
        Ok(v1::ReadStreamResponse { events, head, more })
    }))
}

async fn has_events(store: &dyn Store, scope: Scope) -> Result<bool, Status> {
    let Scope::Stream(stream) = scope else {
        return Ok(true);
    };
    let page = store.read(Read::stream(stream).limit(1)).await;
    let page = page.map_err(|error| store_status(&error))?;
    Ok(!page.events.is_empty())
}

pub async fn all(
    store: Arc<dyn Store>,
    request: v1::ReadAllRequest,
) -> Result<impl Stream<Item = Result<v1::ReadAllResponse, Status>> + Send, Status> {
    let limit = request.limit;
    let read = messages::of_all(request).map_err(|invalid| invalid_status(&invalid))?;
    let (_, batches) = run(store, read, limit).await?;
    Ok(batches.map(|batch| {
        let ReadBatch { events, head, more } = batch?;
        let head = head.get();
        Ok(v1::ReadAllResponse { events, head, more })
    }))
}

/// Returns the head of the log.
pub async fn head(store: &dyn Store) -> Result<Position, Status> {
    let newest = Read::all(Query::all()).backward().limit(1);
    let page = store
        .read(newest)
        .await
        .map_err(|error| store_status(&error))?;
    Ok(page.head)
}

pub async fn list(
    store: &dyn Store,
    request: v1::ListStreamsRequest,
) -> Result<v1::ListStreamsResponse, Status> {
    let list = messages::list(request).map_err(|invalid| invalid_status(&invalid))?;
    let limit = list.limit;
    let streams = store
        .list_streams(list)
        .await
        .map_err(|error| store_status(&error))?;
    let last = streams.last().filter(|_| streams.len() == limit);
    let next_page_token = last.map(|last| last.stream.to_string()).unwrap_or_default();
    Ok(v1::ListStreamsResponse {
        streams: streams.iter().map(messages::summary_message).collect(),
        next_page_token,
    })
}

pub async fn describe(
    store: &dyn Store,
    request: v1::DescribeStreamRequest,
) -> Result<v1::DescribeStreamResponse, Status> {
    let name = request.stream.clone();
    let newest = messages::of_stream(v1::ReadStreamRequest {
        stream: request.stream,
        direction: v1::Direction::Backward.into(),
        ..v1::ReadStreamRequest::default()
    });
    let newest = newest.map_err(|invalid| invalid_status(&invalid))?;
    let page = store
        .read(newest.limit(1))
        .await
        .map_err(|error| store_status(&error))?;
    let last = page.events.first().ok_or_else(|| stream_not_found(&name))?;
    Ok(v1::DescribeStreamResponse {
        stream: Some(v1::StreamSummary {
            stream: name,
            version: last.version.get(),
            position: last.position.get(),
        }),
        changed_at: Some(time::to_message(last.recorded_at)),
    })
}
