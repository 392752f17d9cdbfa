//! [`Backend`], and what the cases of the conformance suite share.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use factum_core::append::{Append, AppendError, Appended, Conflict, ExpectedVersion};
use factum_core::event_id::new_event_id;
use factum_core::metadata::Metadata;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::{EventStore, Store};
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use factum_engine::record::{ContentType, NewEvent, RecordedEvent};

/// A database, schema or file in which [`conformance_suite!`](crate::conformance_suite) opens stores.
///
/// Each test case creates its own backend and opens one or more handles on it.
pub trait Backend: Send + Sync + Sized + 'static {
    /// The store under test. Its clones share one connection or pool.
    type Store: Store + Clone;

    /// Creates an empty backend, which may be deleted when the value is dropped.
    fn create() -> impl Future<Output = Self> + Send;

    /// Returns whether the backend can be used in this environment.
    ///
    /// If it returns `false`, for example because a database server is not installed, every test case is skipped.
    /// Print a message in that case.
    fn available() -> bool {
        true
    }

    /// Opens another handle on the same data, as another process would.
    ///
    /// The handle must share no memory (caches, connections, channels) with the handles that are already open.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;
}

/// The time limit of a case.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Runs a case with a time limit of two minutes.
///
/// # Panics
/// If the case fails or does not finish in time.
pub fn run<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) {
    run_within(TIMEOUT, name, case);
}

/// Runs a case with the time limit `timeout`.
///
/// # Panics
/// If the case fails or does not finish in time.
pub fn run_within<F: Future<Output = ()>>(
    timeout: Duration,
    name: &str,
    case: impl FnOnce() -> F + Send + 'static,
) {
    // The case has its own thread, because a store that blocks its thread would also block a timer of the runtime.
    let (guard, finished) = mpsc::channel::<()>();
    let builder = thread::Builder::new().name(name.to_owned());
    let case = builder.spawn(move || {
        let _guard = guard;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the runtime should start");
        runtime.block_on(case());
    });
    let case = case.expect("the thread should start");
    if finished.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
        panic!("{name} hangs: not finished after {timeout:?}");
    }
    if let Err(panic) = case.join() {
        resume_unwind(panic);
    }
}

/// Creates an event that [`number`] can identify.
pub fn event(number: u64) -> NewEvent {
    NewEvent {
        id: new_event_id(),
        name: "contract.numbered".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: Bytes::from(format!(r#"{{"number":{number}}}"#)),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

pub fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    numbers.into_iter().map(event).collect()
}

pub fn tagged(number: u64, tags: &[&str]) -> NewEvent {
    NewEvent {
        tags: tags.iter().map(|text| tag(text)).collect(),
        ..event(number)
    }
}

pub fn tag(text: &str) -> Tag {
    text.to_owned().try_into().expect("the tag should be valid")
}

pub fn stream(id: &str) -> StreamId {
    id.parse().expect("the stream id should be valid")
}

/// Returns the number of an event that [`event`] created.
pub fn number(event: &RecordedEvent) -> u64 {
    #[derive(serde::Deserialize)]
    struct Numbered {
        number: u64,
    }
    let numbered: Numbered =
        serde_json::from_slice(&event.data).expect("the event should contain a number");
    numbered.number
}

pub fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(number).collect()
}

/// Appends and asserts that the append succeeds.
pub async fn append(store: &impl EventStore, append: Append) -> Appended {
    match store.append(append).await {
        Ok(appended) => appended,
        Err(error) => panic!("the append must succeed, but failed: {error:?}"),
    }
}

/// Appends `events` to the stream `id` at any version.
pub async fn put(store: &impl EventStore, id: &str, events: Vec<NewEvent>) -> Appended {
    append(
        store,
        Append::stream(stream(id), ExpectedVersion::Any, events),
    )
    .await
}

/// Appends and asserts that the append fails with a conflict.
pub async fn conflict(store: &impl EventStore, append: Append) -> Conflict {
    match store.append(append).await {
        Err(AppendError::Conflict(conflict)) => conflict,
        other => panic!("the append must fail with a conflict, but returned {other:?}"),
    }
}

/// Reads one page and asserts that it is not empty if there are more events.
pub async fn page(store: &impl EventStore, read: Read) -> factum_core::read::Page {
    match store.read(read).await {
        Ok(page) => {
            let stalls = page.more && page.events.is_empty();
            assert!(!stalls, "a page without events reports `more`");
            page
        }
        Err(error) => panic!("the read must succeed, but failed: {error:?}"),
    }
}

/// Returns every event of the store, read in pages of `size` events.
pub async fn all_events(store: &impl EventStore, size: usize) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.position.get());
        let page = page(store, Read::all(Query::all()).after(after).limit(size)).await;
        let length = page.events.len();
        assert!(
            length <= size,
            "a page has {length} events; the limit is {size}"
        );
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

/// Waits for all tasks and returns their results; resumes the panic of a task.
pub async fn join_all<T>(tasks: impl IntoIterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
