//! [`conformance_suite!`](crate::conformance_suite): the promises of a store, as tests.

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

/// A place where a store can be opened, for [`conformance_suite!`](crate::conformance_suite).
#[async_trait]
pub trait Backend: Send + Sync + Sized + 'static {
    /// The store under test; a handle, whose clones share what they need.
    type Store: Store + Clone;

    /// A new place, without events. It may go when the value is dropped.
    async fn create() -> Self;

    /// Whether the backend is there at all. Where it is not (a server that is not installed), every case is
    /// skipped; say so loudly.
    fn available() -> bool {
        true
    }

    /// Another handle on the place, as another process would open it: nothing is shared with the handles
    /// that are open already but what is stored.
    async fn open(&self) -> Self::Store;
}

/// The promises of a store as tests, one for each case, for a [`Backend`](crate::Backend) that says
/// where stores can be opened:
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
/// Each case is a `#[test]` of its own beside the call, on a runtime of its own; a crate that has several
/// backends calls the macro in a module for each. A case that finds no end fails after two minutes.
///
/// The cases whose names speak of faults run over the store inside of a [`Faulty`](crate::Faulty), with
/// a few seeds. A failure names its seed; the environment variable `FACTUM_SEED` chooses another one.
///
/// A store in memory cannot show that it outlives its process; everything else it must do as well.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ty) => {
        $crate::__conformance_cases!($crate::__conformance_tests, $backend);
    };
}

/// The cases, in the only place that lists them.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($with:path, $backend:ty) => {
        $with! {
            $backend;
            conformance_durable: what_is_stored_comes_back_byte_for_byte;
            conformance_durable: everything_outlives_its_handles;
            conformance_append: an_append_over_several_streams_is_all_or_nothing;
            conformance_append: every_violation_is_reported_in_order;
            conformance_append: an_expectation_is_judged_against_its_stream;
            conformance_append: an_append_without_events_only_checks;
            conformance_append: a_stream_without_events_only_checks;
            conformance_bounds: what_no_store_takes_is_rejected;
            conformance_bounds: what_is_at_the_bounds_is_taken;
            conformance_bounds: names_that_look_alike_are_different;
            conformance_bounds: a_large_append_is_one_append;
            conformance_bounds: an_append_may_have_many_streams;
            conformance_condition: a_condition_rejects_what_has_arrived_behind_it;
            conformance_condition: a_condition_rejects_a_neighbour_of_the_same_moment;
            conformance_keys: a_key_gives_the_first_answer_again;
            conformance_keys: a_key_used_for_other_content_is_an_error;
            conformance_keys: many_appends_with_one_key_store_once;
            conformance_keys: of_many_contents_for_one_key_one_is_taken;
            conformance_keys: a_rejected_append_leaves_its_key_free;
            conformance_keys: a_key_holds_for_an_append_without_events;
            conformance_race: of_many_that_expect_one_version_exactly_one_wins;
            conformance_race: of_many_that_expect_no_stream_exactly_one_wins;
            conformance_race: appends_to_disjoint_streams_never_conflict;
            conformance_race: a_conflict_rejects_one_append_and_not_its_neighbours;
            conformance_neighbours: each_answer_tells_of_its_own_append;
            conformance_neighbours: two_that_check_what_the_other_writes_do_not_both_win;
            conformance_neighbours: a_dropped_append_can_be_asked_again;
            conformance_race: readers_never_see_half_an_append;
            conformance_race: a_subscriber_sees_every_event_once_and_in_order;
            conformance_race: a_commit_through_one_handle_is_seen_by_the_other_at_once;
            conformance_race: a_watcher_wakes_for_whoever_commits;
            conformance_read: pages_go_forward_and_backward;
            conformance_read: a_page_says_whether_there_is_more;
            conformance_read: a_query_may_have_many_tags_and_names;
            conformance_read: a_prefix_is_meant_literally;
            conformance_read: pages_of_large_events_lose_nothing;
            conformance_read: a_subscriber_is_given_what_no_codec_reads;
            conformance_model: a_read_finds_what_matches_and_nothing_else;
            conformance_model: a_condition_is_judged_as_a_read_would;
            conformance_snapshot: the_newest_snapshot_comes_back;
            conformance_snapshot: of_snapshots_saved_together_the_newest_stays;
            conformance_snapshot: state_from_a_snapshot_equals_a_replay;
            conformance_snapshot: a_snapshot_that_does_not_fit_is_ignored;
            conformance_documents: documents_outlive_their_handles;
            conformance_documents: documents_are_scanned_in_the_order_of_their_keys;
            conformance_documents: changes_are_made_together_or_not_at_all;
            conformance_documents: a_revision_is_never_given_twice;
            conformance_documents: of_many_that_change_one_document_exactly_one_does;
            conformance_documents: documents_out_of_bounds_are_rejected;
            conformance_together: documents_change_with_the_events_or_not_at_all;
            conformance_together: a_repeated_append_changes_no_document_again;
            conformance_together: of_many_appends_that_change_one_document_exactly_one_is_stored;
            conformance_together: readers_never_see_events_without_their_documents;
            conformance_projection: a_projection_has_each_effect_once_under_faults;
            conformance_projection: a_poison_event_parks_its_stream_alone;
            conformance_projection: what_a_paused_owner_writes_is_rejected;
            conformance_projection: a_read_model_elsewhere_gets_every_event_under_faults;
            conformance_engine: engines_on_two_handles_lose_no_update;
            conformance_engine: a_key_counts_once_over_two_engines;
            conformance_engine: a_tag_query_holds_its_limit_over_two_handles;
            conformance_retry: commands_with_keys_happen_once_under_faults;
            conformance_retry: commands_without_keys_happen_at_most_once_under_faults;
            conformance_retry: an_answer_under_faults_tells_what_happened;
            conformance_retry: a_tag_query_holds_its_limit_under_faults;
            conformance_faults: readers_see_every_event_once_under_faults;
            conformance_faults: state_from_a_snapshot_equals_a_replay_under_faults;
            conformance_faults: an_append_over_several_streams_is_whole_under_faults;
            conformance_process: commands_of_a_process_happen_once_under_faults;
            conformance_process: a_deadline_passes_once_over_two_runners_under_faults;
            conformance_process: a_schedule_occurs_once_over_two_runners_under_faults;
            conformance_process: a_handler_is_given_every_event_under_faults;
            conformance_process_work: what_cannot_be_done_waits_in_order_and_holds_up_no_other;
            conformance_process_work: a_deadline_of_a_process_moves_and_is_cancelled_under_faults;
            conformance_process_begin: a_handler_begins_where_it_was_first_started;
            conformance_process_begin: what_is_taken_out_of_the_code_is_listed_and_holds_up_nothing;
            conformance_process_commands: commands_of_an_older_form_are_brought_up;
            conformance_process_commands: commands_of_a_newer_form_are_left_to_newer_code;
            conformance_process_forms: a_state_of_an_older_form_is_brought_up;
            conformance_deadline: deadlines_are_set_with_their_events_or_not_at_all;
            conformance_deadline: deadlines_fire_once_in_due_order_over_two_runners_under_faults;
            conformance_deadline: a_deadline_that_was_cancelled_or_moved_never_fires_at_its_old_time;
            conformance_deadline: deadlines_outlive_the_program_and_fire_late_rather_than_never;
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

/// A case that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// Runs a case to its end.
///
/// # Panics
/// If the case fails, or hangs.
pub fn run<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) {
    run_within(LONGEST, name, case);
}

/// Runs a case, which may take as long as `longest`.
///
/// # Panics
/// If the case fails, or takes longer.
pub fn run_within<F: Future<Output = ()>>(
    longest: Duration,
    name: &str,
    case: impl FnOnce() -> F + Send + 'static,
) {
    // On a thread of its own: a store that blocks its thread would stop a timer of the runtime as well.
    let (alive, ended) = mpsc::channel::<()>();
    let named = thread::Builder::new().name(name.to_owned());
    let case = named.spawn(move || {
        let _alive = alive;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.block_on(case());
    });
    let case = case.expect("a thread starts");
    if ended.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
        panic!("{name} hangs: no end after {longest:?}");
    }
    if let Err(failure) = case.join() {
        resume_unwind(failure);
    }
}

/// An event with a number to know it by.
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
    text.to_owned().try_into().expect("a tag")
}

pub(super) fn stream(id: &str) -> StreamId {
    id.parse().expect("a stream id")
}

/// The number of an event that [`event`] made.
pub(super) fn number(event: &RecordedEvent) -> u64 {
    #[derive(serde::Deserialize)]
    struct Numbered {
        number: u64,
    }
    let numbered: Numbered = serde_json::from_slice(&event.data).expect("a numbered event");
    numbered.number
}

pub(super) fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(number).collect()
}

pub(super) async fn append(store: &impl EventStore, append: Append) -> Appended {
    match store.append(append).await {
        Ok(appended) => appended,
        Err(error) => panic!("an append that must be taken was not: {error:?}"),
    }
}

/// Appends `events` to `stream`, whatever its version.
pub(super) async fn put(store: &impl EventStore, id: &str, events: Vec<NewEvent>) -> Appended {
    append(
        store,
        Append::stream(stream(id), ExpectedVersion::Any, events),
    )
    .await
}

/// The conflict that an append must run into.
pub(super) async fn conflict(store: &impl EventStore, append: Append) -> Conflict {
    match store.append(append).await {
        Err(AppendError::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub(super) async fn page(store: &impl EventStore, read: Read) -> factum_core::read::Page {
    match store.read(read).await {
        Ok(page) => {
            let stalls = page.more && page.events.is_empty();
            assert!(!stalls, "an empty page says that there is more");
            page
        }
        Err(error) => panic!("a page cannot be read: {error:?}"),
    }
}

/// Every event of the store, read in pages of `size`.
pub(super) async fn everything(store: &impl EventStore, size: usize) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.position.get());
        let page = page(store, Read::all(Query::all()).after(after).limit(size)).await;
        assert!(page.events.len() <= size, "a page of more than {size}");
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

/// Waits for all tasks, and passes on what they panic with.
pub(super) async fn all<T>(tasks: impl IntoIterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
