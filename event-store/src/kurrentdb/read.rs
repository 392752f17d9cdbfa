//! Reads that end: a stream, a virtual stream, or the log of all streams, forward or backward.

use std::collections::VecDeque;
use std::sync::Arc;

use factum::store::{Direction, Query, Read, RecordedEvent, Store, StoreError, StreamId, Version};
use factum::{Position, Timestamp};
use factum_compatible_protocols::kurrentdb::client::streams::ReadResp;
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::{Content, StreamNotFound};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tonic::Status;

use super::errors::{Refused, read_status};
use super::event::{UuidNotation, stream_message};
use super::filter::EventFilter;
use super::metadata::{self, VisibleEvents};
use super::origin;
use super::request::{ReadOptions, Source, Start};
use super::virtual_stream::{ResolvedEvent, VirtualStream};
use crate::paged_read::PagedRead;

/// The number of events in the first page of a read whose filter may match few events.
const FIRST_PAGE: usize = 32;

/// The events that a read returns among those of its pages.
enum ReadSelection {
    /// The visible events of a stream.
    Stream(VisibleEvents),
    /// Links.
    Virtual(VirtualStream),
    /// The events that match a filter.
    All(Option<EventFilter>),
}

impl ReadSelection {
    fn contains(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::Stream(visible) => visible.contains(event),
            Self::Virtual(_) | Self::All(None) => true,
            Self::All(Some(filter)) => filter.matches(event),
        }
    }

    /// Returns whether all events that follow in a backward read are hidden.
    fn ends_before(&self, event: &RecordedEvent) -> bool {
        matches!(self, Self::Stream(visible) if !visible.contains(event))
    }
}

/// A read in progress.
struct CountedRead {
    store: Arc<dyn Store>,
    pages: PagedRead,
    selection: ReadSelection,
    backward: bool,
    resolve_links: bool,
    notation: UuidNotation,
    /// The number of events that may still be returned.
    remaining: u64,
    ready: VecDeque<ReadResp>,
    /// The first event of the log, in a backward read of it.
    origin: Option<RecordedEvent>,
    /// The messages after the events.
    end: VecDeque<ReadResp>,
}

impl CountedRead {
    async fn next(&mut self) -> Result<Option<ReadResp>, StoreError> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            let batch = match self.remaining {
                0 => None,
                _ => self.pages.next().await?,
            };
            let Some(batch) = batch else {
                if let Some(origin) = self.origin.take().filter(|_| self.remaining > 0) {
                    self.add(origin).await?;
                    continue;
                }
                self.remaining = 0;
                return Ok(self.end.pop_front());
            };
            for event in batch.events {
                if self.remaining == 0 {
                    break;
                }
                if self.backward && self.selection.ends_before(&event) {
                    self.remaining = 0;
                    break;
                }
                if self.selection.contains(&event) {
                    self.add(event).await?;
                }
            }
        }
    }

    async fn add(&mut self, event: RecordedEvent) -> Result<(), StoreError> {
        self.remaining -= 1;
        let resolved = match &self.selection {
            ReadSelection::Virtual(stream) => {
                ResolvedEvent::of_virtual(stream, event, self.resolve_links)
            }
            _ => ResolvedEvent::new(&*self.store, event, self.resolve_links).await?,
        };
        self.ready.push_back(resolved.message(self.notation));
        Ok(())
    }
}

/// Reads at most `count` events.
///
/// # Errors
/// Returns [`Refused`] if the stream has a tombstone, or the store fails.
pub async fn read(
    store: Arc<dyn Store>,
    request: ReadOptions,
    count: u64,
) -> Result<impl Stream<Item = Result<ReadResp, Status>> + Send, Refused> {
    let mut read = match request.source {
        Source::Stream(ref stream) => {
            let stream = stream.clone();
            of_stream(store, stream, &request, count).await?
        }
        Source::Virtual(ref stream) => {
            let stream = stream.clone();
            of_virtual(store, stream, &request, count).await?
        }
        Source::All(_) => of_all(store, request, count).await?,
    };
    // The first page is read now, so that its error becomes the status of the call.
    let first = read.next().await?;
    Ok(try_unfold((first, read), |(first, mut read)| async move {
        let next = match first {
            Some(message) => Some(message),
            None => read.next().await.map_err(|error| read_status(&error))?,
        };
        Ok(next.map(|message| (message, (None, read))))
    }))
}

fn message(content: Content) -> ReadResp {
    ReadResp {
        content: Some(content),
    }
}

/// Returns the read from `start`, whose cursor is one more than a revision, or equal to a position.
fn from(read: Read, start: Start, backward: bool, offset: u64) -> Read {
    let cursor = |at: u64| Position::new(at.saturating_add(offset));
    match (backward, start) {
        (false, Start::First) => read,
        (false, Start::At(at)) => read.after(cursor(at).get().saturating_sub(1)),
        (false, Start::End) => read.after(Position::MAX),
        (true, Start::End) => read.backward(),
        (true, Start::At(at)) => read.before(cursor(at)),
        (true, Start::First) => read.before(offset),
    }
}

async fn of_stream(
    store: Arc<dyn Store>,
    stream: StreamId,
    request: &ReadOptions,
    count: u64,
) -> Result<CountedRead, Refused> {
    let settings = metadata::load_for_read(&*store, &stream).await?;
    if settings.has_tombstone {
        return Err(Refused::StreamDeleted {
            stream: stream.to_string(),
            has_tombstone: true,
        });
    }
    let version = metadata::version(&*store, &stream).await?;
    let mut end = VecDeque::new();
    let visible = settings.visible(&stream, version, Timestamp::now());
    let exists = version > Version::ZERO && !settings.is_deleted(version);
    if !exists {
        let stream_identifier = Some(stream_message(&stream));
        end.push_back(message(Content::StreamNotFound(StreamNotFound {
            stream_identifier,
        })));
    } else if request.with_stream_positions {
        let first = visible.after.get();
        let starts_before = match request.start {
            Start::First => first > 0,
            Start::At(revision) => revision < first,
            Start::End => false,
        };
        if !request.backward && starts_before && visible.after >= version {
            end.push_back(message(Content::FirstStreamPosition(first)));
        }
        end.push_back(message(Content::LastStreamPosition(version.get() - 1)));
    }
    // A backward read begins with the event of the revision; versions are one more than revisions.
    let offset = if request.backward { 2 } else { 1 };
    let mut read = from(
        Read::stream(stream),
        request.start,
        request.backward,
        offset,
    );
    if read.direction == Direction::Forward && read.cursor < visible.after.get() {
        read.cursor = visible.after.get();
    }
    let limit = visible.since.is_none().then_some(count.max(1));
    Ok(CountedRead {
        pages: PagedRead::new(store.clone(), read, limit),
        store,
        selection: ReadSelection::Stream(visible),
        backward: request.backward,
        resolve_links: request.resolve_links,
        notation: request.notation,
        remaining: if exists { count } else { 0 },
        ready: VecDeque::new(),
        origin: None,
        end,
    })
}

async fn of_virtual(
    store: Arc<dyn Store>,
    stream: VirtualStream,
    request: &ReadOptions,
    count: u64,
) -> Result<CountedRead, Refused> {
    let newest = Read::all(stream.query()).backward().limit(1);
    let newest = store.read(newest).await?.events.pop();
    let mut end = VecDeque::new();
    match &newest {
        None => {
            let stream_identifier = Some(stream_message(stream.stream()));
            end.push_back(message(Content::StreamNotFound(StreamNotFound {
                stream_identifier,
            })));
        }
        Some(newest) if request.with_stream_positions => {
            end.push_back(message(Content::LastStreamPosition(newest.position.get())));
        }
        Some(_) => {}
    }
    // A backward read begins with the event at the position.
    let offset = u64::from(request.backward);
    let read = from(
        Read::all(stream.query()),
        request.start,
        request.backward,
        offset,
    );
    Ok(CountedRead {
        pages: PagedRead::new(store.clone(), read, Some(count.max(1))),
        store,
        selection: ReadSelection::Virtual(stream),
        backward: request.backward,
        resolve_links: request.resolve_links,
        notation: request.notation,
        remaining: if newest.is_some() { count } else { 0 },
        ready: VecDeque::new(),
        origin: None,
        end,
    })
}

async fn of_all(
    store: Arc<dyn Store>,
    request: ReadOptions,
    count: u64,
) -> Result<CountedRead, Refused> {
    let Source::All(filter) = request.source else {
        return Err(Refused::Invalid("expected all streams".to_owned()));
    };
    let query = filter.as_ref().map_or_else(Query::all, EventFilter::query);
    let includes_origin = match (request.backward, request.start) {
        (false, Start::First) | (true, Start::End) => true,
        (false, Start::End) | (true, Start::First) => false,
        (backward, Start::At(position)) => backward == (position > 0),
    };
    let origin = includes_origin.then(origin::event);
    let origin = origin.filter(|event| filter.as_ref().is_none_or(|filter| filter.matches(event)));
    // A backward read begins before the position.
    let read = from(Read::all(query), request.start, request.backward, 0);
    let pages = match filter {
        None => PagedRead::new(store.clone(), read, Some(count.max(1))),
        Some(_) => PagedRead::new(store.clone(), read, None).first_page(FIRST_PAGE),
    };
    let mut counted = CountedRead {
        pages,
        store,
        selection: ReadSelection::All(filter),
        backward: request.backward,
        resolve_links: request.resolve_links,
        notation: request.notation,
        remaining: count,
        ready: VecDeque::new(),
        origin,
        end: VecDeque::new(),
    };
    if !counted.backward
        && let Some(origin) = counted.origin.take().filter(|_| count > 0)
    {
        counted.add(origin).await?;
    }
    Ok(counted)
}
