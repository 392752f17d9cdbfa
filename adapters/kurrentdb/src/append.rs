//! Appends to one stream.

use std::hash::{BuildHasher, RandomState};

use factum_core::append::{
    Append, AppendError, Appended, Conflict, ExpectedStream, ExpectedVersion, Violation,
};
use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use kurrentdb::{
    AppendToStreamOptions, Client, CurrentRevision, Error, EventData, StreamPosition, StreamState,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{RequestKind, has_tombstone, store_error};
use crate::event::{recorded_at, to_client};
use crate::query::is_of_server;
use crate::read::{event_at, head};

/// The number of locks; streams may share one.
const LOCKS: usize = 64;

/// Orders the appends of this process that expect a version of the same stream.
///
/// The engine sends an append before the answer to the previous one, and it requires the event of that one.
pub struct StreamLocks {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Default for StreamLocks {
    fn default() -> Self {
        Self {
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

impl StreamLocks {
    async fn lock(&self, stream: &StreamId) -> MutexGuard<'_, ()> {
        let index = self.hasher.hash_one(stream) as usize % LOCKS;
        self.locks[index].lock().await
    }
}

/// Stores the events of `append`, which has been checked.
pub async fn append(
    client: &Client,
    locks: &StreamLocks,
    append: Append,
) -> Result<Appended, AppendError> {
    let Some(target) = target(&append)? else {
        return Ok(unchanged(head(client).await?));
    };
    let expected = target.expected;
    let is_ordered = matches!(
        expected,
        ExpectedVersion::Exact(_) | ExpectedVersion::NoStream
    );
    let _lock = match is_ordered {
        true => Some(locks.lock(&target.stream).await),
        false => None,
    };
    check_required(client, &append, &target).await?;
    if append.events.is_empty() {
        let actual = version(client, &target.stream).await?;
        return match expected.allows(actual) {
            true => Ok(unchanged(head(client).await?)),
            false => Err(conflict(&target, actual)),
        };
    }
    let count = append.count() as u64;
    let events = append.events.into_iter();
    let events = events.map(|event| to_client(event.event));
    let events: Vec<EventData> = events.collect::<Result<_, _>>()?;
    store(client, &target, events, count).await
}

/// Returns the stream of an append; `None` if it has none.
fn target(append: &Append) -> Result<Option<ExpectedStream>, StoreError> {
    let operation = match append {
        Append { key: Some(_), .. } => "an append with an idempotency key",
        Append {
            condition: Some(_), ..
        } => "an append condition",
        Append { changes, .. } if !changes.is_empty() => "document changes in an append",
        Append { streams, .. } if streams.len() > 1 => "an append to several streams",
        Append { streams, .. } => match streams.first() {
            Some(target) if is_of_server(target.stream.as_str()) => {
                "an append to a stream of the server, whose name begins with `$`"
            }
            target => return Ok(target.cloned()),
        },
    };
    Err(StoreError::Unsupported { operation })
}

/// Checks the events that the append requires.
///
/// The protocol finds an event by its stream and version only.
async fn check_required(
    client: &Client,
    append: &Append,
    target: &ExpectedStream,
) -> Result<(), AppendError> {
    let Some(id) = append.requires.first().copied() else {
        return Ok(());
    };
    let is_one = append.requires.iter().all(|required| *required == id);
    let ExpectedVersion::Exact(version) = target.expected else {
        return Err(unsupported_requirement().into());
    };
    if !is_one {
        return Err(unsupported_requirement().into());
    }
    let last = match version.get().checked_sub(1) {
        Some(revision) => {
            event_at(client, &target.stream, StreamPosition::Position(revision)).await?
        }
        None => None,
    };
    match last {
        Some(last) if last.id == id => Ok(()),
        _ => Err(violated(Violation::MissingEvent { id })),
    }
}

fn unsupported_requirement() -> StoreError {
    let operation = "an append that requires other events than the last one of its stream";
    StoreError::Unsupported { operation }
}

/// Returns the result of an append without events.
fn unchanged(head: Position) -> Appended {
    Appended {
        position: head,
        count: 0,
        versions: Vec::new(),
        recorded_at: Timestamp::now(),
        repeated: false,
    }
}

async fn version(client: &Client, stream: &StreamId) -> Result<Version, StoreError> {
    let last = event_at(client, stream, StreamPosition::End).await?;
    Ok(last.map_or(Version::ZERO, |last| Version::new(last.revision + 1)))
}

fn violated(violation: Violation) -> AppendError {
    let violations = vec![violation];
    Conflict { violations }.into()
}

fn conflict(target: &ExpectedStream, actual: Version) -> AppendError {
    violated(Violation::Version {
        stream: target.stream.clone(),
        expected: target.expected,
        actual,
    })
}

async fn store(
    client: &Client,
    target: &ExpectedStream,
    events: Vec<EventData>,
    count: u64,
) -> Result<Appended, AppendError> {
    let stream = &target.stream;
    let options = AppendToStreamOptions::default().stream_state(stream_state(target.expected));
    let stored = client
        .append_to_stream(stream.as_str(), &options, events)
        .await;
    let stored = match stored {
        Ok(stored) => stored,
        Err(Error::WrongExpectedVersion { current, .. }) => {
            let actual = match current {
                CurrentRevision::Current(revision) => revision + 1,
                CurrentRevision::NoStream => 0,
            };
            return Err(conflict(target, Version::new(actual)));
        }
        Err(Error::ResourceDeleted) => return Err(has_tombstone(stream).into()),
        Err(error) => return Err(store_error(error, RequestKind::Append).into()),
    };
    let revision = stored.next_expected_version;
    // The answer does not have the time.
    let last = event_at(client, stream, StreamPosition::Position(revision)).await;
    let last = last.map_err(|error| match error {
        StoreError::Unavailable(outage) => StoreError::Interrupted(outage),
        error => error,
    })?;
    Ok(Appended {
        position: Position::new(stored.position.commit),
        count,
        versions: vec![(stream.clone(), Version::new(revision + 1))],
        recorded_at: last.map_or_else(Timestamp::now, |last| recorded_at(&last)),
        repeated: false,
    })
}

fn stream_state(expected: ExpectedVersion) -> StreamState {
    match expected {
        ExpectedVersion::Any => StreamState::Any,
        ExpectedVersion::StreamExists => StreamState::StreamExists,
        ExpectedVersion::NoStream | ExpectedVersion::Exact(Version::ZERO) => StreamState::NoStream,
        ExpectedVersion::Exact(version) => StreamState::StreamRevision(version.get() - 1),
    }
}
