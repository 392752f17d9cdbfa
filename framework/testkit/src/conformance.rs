//! The macro [`conformance_suite!`](crate::conformance_suite) and helpers for its cases.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
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
#[async_trait]
pub trait Backend: Send + Sync + Sized + 'static {
    /// The store under test. Its clones share one connection or pool.
    type Store: Store + Clone;

    /// Creates an empty backend, which may be deleted when the value is dropped.
    async fn create() -> Self;

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
    async fn open(&self) -> Self::Store;
}

/// Expands to the conformance tests of a store, one `#[test]` for each case.
///
/// Pass a type that implements [`Backend`](crate::Backend):
///
/// ```ignore
/// use factum::async_trait;
/// use factum_testkit::Backend;
/// use factum_memory::MemoryStore;
///
/// struct Memory(MemoryStore);
///
/// #[async_trait]
/// impl Backend for Memory {
///     type Store = MemoryStore;
///     async fn create() -> Self { Self(MemoryStore::new()) }
///     async fn open(&self) -> MemoryStore { self.0.clone() }
/// }
///
/// factum_testkit::conformance_suite!(Memory);
/// ```
///
/// Each test has its own Tokio runtime and fails after two minutes. A crate with several backends calls the macro
/// in one module for each backend.
///
/// Tests whose names end with `under_faults` wrap the store in a [`Faulty`](crate::Faulty) and run with
/// several seeds. A failure names its seed. Set the environment variable `FACTUM_SEED` to run one seed only.
///
/// An in-memory store must pass all tests too; its handles share the data within the process.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ty) => {
        $crate::__conformance_cases!($crate::__conformance_tests, $backend);
    };
}

/// Passes the list of all conformance cases to the macro `$with`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($with:path, $backend:ty) => {
        $with! {
            $backend;
            conformance_durable: stored_events_are_returned_byte_for_byte;
            conformance_durable: events_keys_and_snapshots_survive_reopen;
            conformance_append: multi_stream_append_is_atomic;
            conformance_append: conflict_lists_every_violation_in_order;
            conformance_append: expected_version_is_checked_per_stream;
            conformance_append: append_without_events_only_checks_versions;
            conformance_append: stream_without_events_only_checks_its_version;
            conformance_bounds: invalid_appends_are_rejected;
            conformance_bounds: values_at_the_limits_are_stored_unchanged;
            conformance_bounds: similar_names_stay_distinct;
            conformance_bounds: largest_append_is_stored_whole;
            conformance_bounds: append_accepts_many_streams;
            conformance_condition: append_condition_rejects_later_matching_event;
            conformance_condition: append_condition_rejects_concurrent_event;
            conformance_keys: idempotency_key_returns_first_result;
            conformance_keys: idempotency_key_rejects_other_content;
            conformance_keys: concurrent_appends_with_one_key_store_once;
            conformance_keys: concurrent_contents_for_one_key_store_exactly_one;
            conformance_keys: conflicting_append_leaves_its_key_unused;
            conformance_keys: idempotency_key_covers_append_without_events;
            conformance_race: conflicting_appends_have_exactly_one_winner;
            conformance_race: stream_creation_has_exactly_one_winner;
            conformance_race: appends_to_disjoint_streams_never_conflict;
            conformance_race: conflict_rejects_only_its_own_append;
            conformance_neighbours: concurrent_appends_get_their_own_results;
            conformance_neighbours: mutually_checking_appends_have_one_winner;
            conformance_neighbours: dropped_append_can_be_retried;
            conformance_race: readers_never_see_partial_appends;
            conformance_race: subscriber_gets_every_event_once_in_order;
            conformance_race: commit_is_visible_to_other_handle_at_once;
            conformance_race: watcher_wakes_for_commit_of_any_handle;
            conformance_read: reads_page_forward_and_backward;
            conformance_read: page_reports_whether_more_events_exist;
            conformance_read: query_accepts_many_tags_and_event_types;
            conformance_read: stream_prefix_matches_literally;
            conformance_read: pages_of_large_events_are_complete;
            conformance_read: subscriber_gets_undecodable_events;
            conformance_model: read_returns_exactly_the_matching_events;
            conformance_model: append_condition_agrees_with_read;
            conformance_snapshot: newest_snapshot_is_loaded;
            conformance_snapshot: concurrent_snapshot_saves_keep_the_newest;
            conformance_snapshot: state_from_snapshot_equals_replay;
            conformance_snapshot: incompatible_snapshot_is_ignored;
            conformance_documents: documents_survive_reopen;
            conformance_documents: document_scan_follows_key_order;
            conformance_documents: document_changes_are_atomic;
            conformance_documents: document_revision_is_never_reused;
            conformance_documents: conflicting_document_changes_have_one_winner;
            conformance_documents: invalid_document_changes_are_rejected;
            conformance_together: events_and_documents_commit_atomically;
            conformance_together: repeated_append_changes_no_document;
            conformance_together: appends_that_change_one_document_have_one_winner;
            conformance_together: readers_never_see_events_without_their_documents;
            conformance_projection: projection_applies_each_event_once_under_faults;
            conformance_projection: dead_letter_blocks_only_its_own_stream;
            conformance_projection: stale_lease_owner_cannot_write;
            conformance_projection: external_read_model_gets_every_event_under_faults;
            conformance_engine: concurrent_engines_lose_no_update;
            conformance_engine: idempotency_key_executes_once_on_two_engines;
            conformance_engine: dcb_limit_holds_across_two_handles;
            conformance_retry: commands_with_keys_execute_once_under_faults;
            conformance_retry: commands_without_keys_execute_at_most_once_under_faults;
            conformance_retry: command_results_match_stored_events_under_faults;
            conformance_retry: dcb_limit_holds_under_faults;
            conformance_faults: readers_get_every_event_once_under_faults;
            conformance_faults: state_from_snapshot_equals_replay_under_faults;
            conformance_faults: multi_stream_append_is_atomic_under_faults;
            conformance_process: process_commands_execute_once_under_faults;
            conformance_process: process_deadline_fires_once_on_two_nodes_under_faults;
            conformance_process: schedule_fires_once_on_two_nodes_under_faults;
            conformance_process: event_handler_gets_every_event_under_faults;
            conformance_process_work: failed_delivery_blocks_only_its_own_instance;
            conformance_process_work: process_deadline_can_be_moved_and_cancelled_under_faults;
            conformance_process_begin: event_handler_keeps_its_first_start_position;
            conformance_process_begin: orphans_are_listed_and_block_nothing;
            conformance_process_commands: stored_commands_are_upcast;
            conformance_process_commands: commands_of_newer_schema_wait_for_newer_code;
            conformance_process_forms: stored_process_state_is_upcast;
            conformance_deadline: deadlines_commit_atomically_with_their_events;
            conformance_deadline: deadlines_fire_once_in_due_order_under_faults;
            conformance_deadline: changed_deadline_never_fires_at_its_old_time;
            conformance_deadline: deadlines_survive_restart_and_fire_late;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($backend:ty; $($area:ident: $case:ident;)*) => {
        $(
            #[test]
            fn $case() {
                if <$backend as $crate::Backend>::available() {
                    $crate::conformance::run(
                        stringify!($case),
                        $crate::$area::$case::<$backend>,
                    );
                }
            }
        )*
    };
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
pub(super) fn event(number: u64) -> NewEvent {
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

pub(super) fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    numbers.into_iter().map(event).collect()
}

pub(super) fn tagged(number: u64, tags: &[&str]) -> NewEvent {
    NewEvent {
        tags: tags.iter().map(|text| tag(text)).collect(),
        ..event(number)
    }
}

pub(super) fn tag(text: &str) -> Tag {
    text.to_owned().try_into().expect("the tag should be valid")
}

pub(super) fn stream(id: &str) -> StreamId {
    id.parse().expect("the stream id should be valid")
}

/// Returns the number of an event that [`event`] created.
pub(super) fn number(event: &RecordedEvent) -> u64 {
    #[derive(serde::Deserialize)]
    struct Numbered {
        number: u64,
    }
    let numbered: Numbered =
        serde_json::from_slice(&event.data).expect("the event should contain a number");
    numbered.number
}

pub(super) fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(number).collect()
}

/// Appends and asserts that the append succeeds.
pub(super) async fn append(store: &impl EventStore, append: Append) -> Appended {
    match store.append(append).await {
        Ok(appended) => appended,
        Err(error) => panic!("the append must succeed, but failed: {error:?}"),
    }
}

/// Appends `events` to the stream `id` at any version.
pub(super) async fn put(store: &impl EventStore, id: &str, events: Vec<NewEvent>) -> Appended {
    append(
        store,
        Append::stream(stream(id), ExpectedVersion::Any, events),
    )
    .await
}

/// Appends and asserts that the append fails with a conflict.
pub(super) async fn conflict(store: &impl EventStore, append: Append) -> Conflict {
    match store.append(append).await {
        Err(AppendError::Conflict(conflict)) => conflict,
        other => panic!("the append must fail with a conflict, but returned {other:?}"),
    }
}

/// Reads one page and asserts that it is not empty if there are more events.
pub(super) async fn page(store: &impl EventStore, read: Read) -> factum_core::read::Page {
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
pub(super) async fn all_events(store: &impl EventStore, size: usize) -> Vec<RecordedEvent> {
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
pub(super) async fn join_all<T>(
    tasks: impl IntoIterator<Item = tokio::task::JoinHandle<T>>,
) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
