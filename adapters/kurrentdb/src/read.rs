//! Reads.

use std::collections::HashSet;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::read::{Direction, Page, Read, Scope};
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use kurrentdb::{Client, Error, ReadAllOptions, ReadStream, ReadStreamOptions, StreamPosition};

use crate::error::{RequestKind, has_tombstone, store_error};
use crate::event::from_client;
use crate::query::{ServerFilter, is_of_server, of_query, of_streams, visible_streams};

/// The greatest revision and the greatest position of the protocol.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// Returns the position of the newest event.
pub async fn head(client: &Client) -> Result<Position, StoreError> {
    let options = ReadAllOptions::default()
        .position(StreamPosition::End)
        .filter(visible_streams())
        .max_count(1);
    let events = client.read_all(&options).await;
    let mut events = events.map_err(|error| store_error(error, RequestKind::Read))?;
    let newest = events.next().await;
    let newest = newest.map_err(|error| store_error(error, RequestKind::Read))?;
    let position = newest.map_or(0, |event| event.get_original_event().position.commit);
    Ok(Position::new(position))
}

/// Returns the event of a stream with this revision, or the last one.
pub async fn event_at(
    client: &Client,
    stream: &StreamId,
    revision: StreamPosition<u64>,
) -> Result<Option<kurrentdb::RecordedEvent>, StoreError> {
    let options = ReadStreamOptions::default().position(revision).max_count(1);
    let Some(mut events) = open_stream(client, stream, &options).await? else {
        return Ok(None);
    };
    let event = next(&mut events, Some(stream)).await?;
    Ok(event.filter(|event| match revision {
        StreamPosition::Position(revision) => event.revision == revision,
        _ => true,
    }))
}

/// Reads one page.
pub async fn read(client: &Client, read: &Read) -> Result<Page, StoreError> {
    // Before the events, so that the page contains all events up to the head.
    let head = head(client).await?;
    let mut page = EventPage::new(read, head);
    match &read.scope {
        Scope::Stream(stream) => read_stream(client, stream, &mut page).await?,
        Scope::Streams(streams) => {
            let streams: HashSet<&StreamId> = streams.iter().collect();
            let matches = |event: &RecordedEvent| streams.contains(&event.stream);
            if !streams.is_empty() {
                read_all(client, of_streams(&streams), &mut page, matches).await?;
            }
        }
        Scope::All(query) => {
            let matches = |event: &RecordedEvent| query.matches(event);
            if !query.matches_nothing() {
                read_all(client, of_query(query), &mut page, matches).await?;
            }
        }
    }
    Ok(page.page)
}

/// A page to which events are added until it is full.
struct EventPage {
    page: Page,
    bytes: usize,
    limit: usize,
    max_bytes: usize,
    direction: Direction,
    cursor: u64,
}

impl EventPage {
    fn new(read: &Read, head: Position) -> Self {
        Self {
            page: Page {
                events: Vec::new(),
                head,
                more: false,
            },
            bytes: 0,
            limit: read.limit,
            max_bytes: read.max_bytes,
            direction: read.direction,
            cursor: read.cursor,
        }
    }

    /// Returns whether an event with this version or position is on the requested side of the cursor.
    fn includes(&self, number: u64) -> bool {
        match self.direction {
            Direction::Forward => number > self.cursor,
            Direction::Backward => number < self.cursor,
        }
    }

    /// Adds an event; returns `false` if the page was full.
    fn add(&mut self, event: RecordedEvent) -> bool {
        if self.page.events.len() == self.limit || self.bytes >= self.max_bytes {
            self.page.more = true;
            return false;
        }
        self.bytes += event.size();
        self.page.head = self.page.head.max(event.position);
        self.page.events.push(event);
        true
    }
}

async fn read_stream(
    client: &Client,
    stream: &StreamId,
    page: &mut EventPage,
) -> Result<(), StoreError> {
    // Versions are one more than revisions.
    let start = match (page.direction, page.cursor) {
        (Direction::Forward, cursor) if cursor > MAX_NUMBER => return Ok(()),
        (Direction::Forward, cursor) => StreamPosition::Position(cursor),
        (Direction::Backward, 0 | 1) => return Ok(()),
        (Direction::Backward, cursor) if cursor > MAX_NUMBER => StreamPosition::End,
        (Direction::Backward, cursor) => StreamPosition::Position(cursor - 2),
    };
    let options = ReadStreamOptions::default().position(start);
    let options = match page.direction {
        Direction::Forward => options.forwards(),
        Direction::Backward => options.backwards(),
    };
    // One more shows whether the page is the last one.
    let options = options.max_count(page.limit + 1);
    let Some(mut events) = open_stream(client, stream, &options).await? else {
        return Ok(());
    };
    while let Some(event) = next(&mut events, Some(stream)).await? {
        let event = from_client(event)?;
        if page.includes(event.version.get()) && !page.add(event) {
            break;
        }
    }
    Ok(())
}

async fn read_all(
    client: &Client,
    filter: ServerFilter,
    page: &mut EventPage,
    matches: impl Fn(&RecordedEvent) -> bool,
) -> Result<(), StoreError> {
    let at = |position| {
        StreamPosition::Position(kurrentdb::Position {
            commit: position,
            prepare: position,
        })
    };
    let start = match (page.direction, page.cursor) {
        (Direction::Forward, cursor) if cursor > MAX_NUMBER => return Ok(()),
        (Direction::Forward, 0) => StreamPosition::Start,
        (Direction::Backward, 0) => return Ok(()),
        (Direction::Backward, cursor) if cursor > MAX_NUMBER => StreamPosition::End,
        (_, cursor) => at(cursor),
    };
    let options = ReadAllOptions::default()
        .position(start)
        .filter(filter.filter);
    let options = match page.direction {
        Direction::Forward => options.forwards(),
        Direction::Backward => options.backwards(),
    };
    let options = match filter.is_exact {
        // One more shows whether the page is the last one, and a forward read begins with the event at the cursor.
        true => options.max_count(page.limit + 2),
        false => options,
    };
    let events = client.read_all(&options).await;
    let mut events = events.map_err(|error| store_error(error, RequestKind::Read))?;
    while let Some(event) = next(&mut events, None).await? {
        if is_of_server(event.stream_id()) || !page.includes(event.position.commit) {
            continue;
        }
        let event = from_client(event)?;
        if matches(&event) && !page.add(event) {
            break;
        }
    }
    Ok(())
}

/// Opens a stream; `None` if it does not exist.
async fn open_stream(
    client: &Client,
    stream: &StreamId,
    options: &ReadStreamOptions,
) -> Result<Option<ReadStream>, StoreError> {
    if is_of_server(stream.as_str()) {
        return Ok(None);
    }
    match client.read_stream(stream.as_str(), options).await {
        Ok(events) => Ok(Some(events)),
        Err(error) => failed(error, Some(stream)).map(|()| None),
    }
}

/// Returns the next event of a read; `None` at its end.
async fn next(
    events: &mut ReadStream,
    stream: Option<&StreamId>,
) -> Result<Option<kurrentdb::RecordedEvent>, StoreError> {
    match events.next().await {
        Ok(event) => Ok(event.and_then(|resolved| resolved.link.or(resolved.event))),
        Err(error) => failed(error, stream).map(|()| None),
    }
}

/// Returns the error of a read. A stream that does not exist is none.
fn failed(error: Error, stream: Option<&StreamId>) -> Result<(), StoreError> {
    match (error, stream) {
        (Error::ResourceNotFound, Some(_)) => Ok(()),
        (Error::ResourceDeleted, Some(stream)) => Err(has_tombstone(stream)),
        (error, _) => Err(store_error(error, RequestKind::Read)),
    }
}
