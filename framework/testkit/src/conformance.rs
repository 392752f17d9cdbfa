//! The conformance suite: the guarantees of a store, as tests.

#[doc(hidden)]
pub mod append;
#[doc(hidden)]
pub mod bounds;
#[doc(hidden)]
pub mod condition;
#[doc(hidden)]
pub mod deadline;
#[doc(hidden)]
pub mod document_changes;
#[doc(hidden)]
pub mod documents;
#[doc(hidden)]
pub mod durable;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod event_ids;
#[doc(hidden)]
pub mod faults;
#[doc(hidden)]
pub mod harness;
#[doc(hidden)]
pub mod keys;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod neighbours;
#[doc(hidden)]
pub mod process;
#[doc(hidden)]
pub mod process_begin;
#[doc(hidden)]
pub mod process_commands;
#[doc(hidden)]
pub mod process_forms;
mod process_lamps;
#[doc(hidden)]
pub mod process_work;
#[doc(hidden)]
pub mod projection;
#[doc(hidden)]
pub mod race;
#[doc(hidden)]
pub mod read;
#[doc(hidden)]
pub mod repeats;
#[doc(hidden)]
pub mod retry;
mod shop;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod streams;

/// Expands to the conformance tests of a store, one `#[test]` for each case.
///
/// Pass a type that implements [`Backend`](crate::Backend):
///
/// ```ignore
/// /// use factum_testkit::Backend;
/// use factum_memory::MemoryStore;
///
/// struct Memory(MemoryStore);
///
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
///
/// # Parts
///
/// A store that cannot have every operation, because the protocol of its server lacks some, names the parts that it
/// passes: `conformance_suite!(Backend, parts: events, commands)`. It must return
/// [`StoreError::Unsupported`](factum_core::error::StoreError::Unsupported) for the other operations, and its
/// documentation must list them. A case belongs to the part of the most demanding operation that it uses.
///
/// | part | operations |
/// |---|---|
/// | `events` | appends to one stream with an expected version, reads, filters, the watch |
/// | `commands` | commands on one stream, without idempotency keys, on several engines |
/// | `random_reads` | the result of every kind of read; it needs thousands of requests |
/// | `metadata_limits` | metadata and tags up to the limits of the contract |
/// | `several_streams` | atomic appends to several streams |
/// | `event_ids` | event ids that are unique in the store, and required events of any stream |
/// | `conditions` | append conditions (DCB) |
/// | `keys` | idempotency keys |
/// | `imports` | appends with the time of another store |
/// | `snapshots` | snapshots |
/// | `documents` | documents, and changes of them in an append |
/// | `consumers` | the runtime: projections, process managers, deadlines |
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ty) => {
        $crate::__conformance_cases!($crate::__conformance_tests, $backend);
    };
    ($backend:ty, parts: $($part:ident),+ $(,)?) => {
        $crate::__conformance_cases!($crate::__conformance_tests, $backend, $($part),+);
    };
}

/// Passes the conformance cases of all parts, or of the parts `$part`, to the macro `$with`.
///
/// `$with` is called once for each part.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($with:path, $backend:ty) => {
        $crate::__conformance_cases!(
            $with, $backend, events, commands, random_reads, metadata_limits, several_streams, event_ids, conditions,
            keys, imports, snapshots, documents, consumers
        );
    };
    ($with:path, $backend:ty, $($part:ident),+) => {
        $($crate::__conformance_part!($part, $with, $backend);)+
    };
}

/// Passes the conformance cases of a part to the macro `$with`.
///
/// A case belongs to the part with the most demanding operation that it uses.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_part {
    (events, $with:path, $backend:ty) => {
        $with! {
            $backend;
            durable: stored_events_are_returned_byte_for_byte;
            append: expected_version_is_checked_per_stream;
            append: append_without_events_only_checks_versions;
            streams: stream_list_pages_in_order_of_ids;
            streams: event_type_list_is_complete_and_current;
            bounds: invalid_appends_are_rejected;
            bounds: concurrent_large_appends_are_all_stored;
            bounds: largest_append_is_stored_whole;
            race: conflicting_appends_have_exactly_one_winner;
            race: stream_creation_has_exactly_one_winner;
            race: appends_to_disjoint_streams_never_conflict;
            race: conflict_rejects_only_its_own_append;
            race: subscriber_gets_every_event_once_in_order;
            race: commit_is_visible_to_other_handle_at_once;
            race: watcher_wakes_for_commit_of_any_handle;
            read: reads_page_forward_and_backward;
            read: page_reports_whether_more_events_exist;
            read: query_accepts_many_tags_and_event_types;
            read: stream_prefix_matches_literally;
            read: pages_of_large_events_are_complete;
            read: subscriber_gets_undecodable_events;
            faults: readers_get_every_event_once_under_faults;
            repeats: repeated_append_is_recognized_by_its_event_ids;
        }
    };
    (commands, $with:path, $backend:ty) => {
        $with! {
            $backend;
            event_ids: append_after_a_rejected_one_is_rejected;
            engine: concurrent_engines_lose_no_update;
            retry: commands_without_keys_execute_at_most_once_under_faults;
        }
    };
    (random_reads, $with:path, $backend:ty) => {
        $with! {
            $backend;
            model: read_returns_exactly_the_matching_events;
        }
    };
    (metadata_limits, $with:path, $backend:ty) => {
        $with! {
            $backend;
            durable: foreign_events_are_returned_unchanged;
            bounds: pages_end_at_a_number_of_bytes;
            bounds: pages_end_at_the_requested_size;
        }
    };
    (several_streams, $with:path, $backend:ty) => {
        $with! {
            $backend;
            append: multi_stream_append_is_atomic;
            append: stream_without_events_only_checks_its_version;
            append: mixed_append_keeps_the_order_of_its_events;
            append: concurrent_mixed_appends_keep_their_order;
            bounds: append_accepts_many_streams;
            race: readers_never_see_partial_appends;
            faults: multi_stream_append_is_atomic_under_faults;
            neighbours: mutually_checking_appends_have_one_winner;
        }
    };
    (event_ids, $with:path, $backend:ty) => {
        $with! {
            $backend;
            event_ids: event_id_is_stored_once;
            event_ids: append_requires_stored_events;
            event_ids: concurrent_appends_with_one_event_id_have_one_winner;
        }
    };
    (conditions, $with:path, $backend:ty) => {
        $with! {
            $backend;
            append: conflict_lists_every_violation_in_order;
            condition: append_condition_rejects_later_matching_event;
            condition: append_condition_rejects_concurrent_event;
            model: append_condition_agrees_with_read;
            streams: streams_and_tags_may_have_any_name;
            bounds: values_at_the_limits_are_stored_unchanged;
            engine: dcb_limit_holds_across_two_handles;
            retry: dcb_limit_holds_under_faults;
        }
    };
    (keys, $with:path, $backend:ty) => {
        $with! {
            $backend;
            keys: idempotency_key_returns_first_result;
            keys: idempotency_key_rejects_other_content;
            keys: idempotency_key_accepts_other_schema_version;
            keys: concurrent_appends_with_one_key_store_once;
            keys: concurrent_contents_for_one_key_store_exactly_one;
            keys: conflicting_append_leaves_its_key_unused;
            keys: idempotency_key_covers_append_without_events;
            bounds: similar_names_stay_distinct;
            neighbours: concurrent_appends_get_their_own_results;
            neighbours: dropped_append_can_be_retried;
            retry: commands_with_keys_execute_once_under_faults;
            retry: command_results_match_stored_events_under_faults;
            engine: idempotency_key_executes_once_on_two_engines;
        }
    };
    (imports, $with:path, $backend:ty) => {
        $with! {
            $backend;
            streams: import_keeps_original_times;
            streams: import_keeps_the_order_of_mixed_events;
        }
    };
    (snapshots, $with:path, $backend:ty) => {
        $with! {
            $backend;
            durable: events_keys_and_snapshots_survive_reopen;
            snapshot: newest_snapshot_is_loaded;
            snapshot: concurrent_snapshot_saves_keep_the_newest;
            snapshot: oversized_snapshot_is_rejected;
            snapshot: state_from_snapshot_equals_replay;
            snapshot: incompatible_snapshot_is_ignored;
            faults: state_from_snapshot_equals_replay_under_faults;
        }
    };
    (documents, $with:path, $backend:ty) => {
        $with! {
            $backend;
            bounds: invalid_reads_are_rejected;
            event_ids: reused_event_id_has_no_effect;
            documents: documents_survive_reopen;
            documents: document_scan_follows_key_order;
            documents: document_scan_ends_at_a_number_of_bytes;
            documents: document_changes_are_atomic;
            documents: document_revision_is_never_reused;
            documents: conflicting_document_changes_have_one_winner;
            documents: invalid_document_changes_are_rejected;
            documents: liveness_lock_is_held_by_open_store;
            document_changes: events_and_documents_commit_atomically;
            document_changes: append_checks_the_documents_that_it_requires;
            document_changes: repeated_append_changes_no_document;
            document_changes: appends_that_change_one_document_have_one_winner;
            document_changes: readers_never_see_events_without_their_documents;
        }
    };
    (consumers, $with:path, $backend:ty) => {
        $with! {
            $backend;
            projection: projection_applies_each_event_once_under_faults;
            projection: dead_letter_blocks_only_its_own_stream;
            projection: stale_lease_owner_cannot_write;
            projection: external_read_model_gets_every_event_under_faults;
            process: process_commands_execute_once_under_faults;
            process: process_deadline_fires_once_on_two_nodes_under_faults;
            process: schedule_fires_once_on_two_nodes_under_faults;
            process: event_handler_gets_every_event_under_faults;
            process_work: failed_delivery_blocks_only_its_own_instance;
            process_work: process_deadline_can_be_moved_and_cancelled_under_faults;
            process_begin: event_handler_keeps_its_first_start_position;
            process_begin: orphans_are_listed_and_block_nothing;
            process_commands: stored_commands_are_upcast;
            process_commands: commands_of_newer_schema_wait_for_newer_code;
            process_forms: stored_process_state_is_upcast;
            deadline: deadlines_commit_atomically_with_their_events;
            deadline: deadlines_fire_once_in_due_order_under_faults;
            deadline: changed_deadline_never_fires_at_its_old_time;
            deadline: deadlines_survive_restart_and_fire_late;
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
                    $crate::conformance::harness::run(
                        stringify!($case),
                        $crate::conformance::$area::$case::<$backend>,
                    );
                }
            }
        )*
    };
}
