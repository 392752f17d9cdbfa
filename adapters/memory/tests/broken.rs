//! Tests of the conformance suite: each case fails for a store with a known fault.

#[path = "support/broken_store.rs"]
mod broken_store;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use broken_store::{Fault, Place};
use factum_testkit::conformance::harness::{run, run_within};
use factum_testkit::conformance::{race, read};

/// Returns the panic message of a case that must fail.
fn failure(run: impl FnOnce()) -> String {
    let panic: Box<dyn Any + Send> =
        catch_unwind(AssertUnwindSafe(run)).expect_err("the case did not find the fault");
    let message = panic.downcast_ref::<String>().cloned();
    message
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// Runs a case that must fail, but not by a timeout.
fn finds<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) {
    let message = failure(|| run(name, case));
    assert!(!message.contains(" hangs: "), "{message}");
}

/// Defines a test for each case of the suite, with a fault that the case must find.
macro_rules! finds {
    ($($area:ident: $case:ident, $fault:ident;)*) => {
        const FOUND: &[&str] = &[$(stringify!($case)),*];

        mod finds {
            use super::*;

            $(
                #[test]
                fn $case() {
                    type Store = Place<{ Fault::$fault as usize }>;
                    finds(stringify!($case), factum_testkit::conformance::$area::$case::<Store>);
                }
            )*
        }
    };
}

finds! {
    durable: stored_events_are_returned_byte_for_byte, ChangesData;
    durable: foreign_events_are_returned_unchanged, ParsesForeignMetadata;
    durable: events_keys_and_snapshots_survive_reopen, LosesKeysOnClose;
    append: multi_stream_append_is_atomic, SwallowsConflicts;
    append: conflict_lists_every_violation_in_order, SortsStreams;
    append: expected_version_is_checked_per_stream, IgnoresExpectedVersions;
    append: append_without_events_only_checks_versions, IgnoresExpectedVersions;
    append: stream_without_events_only_checks_its_version, ChecksOnlyWrittenStreams;
    append: mixed_append_keeps_the_order_of_its_events, GroupsEventsByStream;
    append: concurrent_mixed_appends_keep_their_order, GroupsEventsByStream;
    streams: stream_list_pages_in_order_of_ids, ListsIgnoreCategories;
    streams: event_type_list_is_complete_and_current, EventTypeListsAreCached;
    streams: streams_and_tags_may_have_any_name, CategoriesNeedDash;
    streams: import_keeps_original_times, ImportsIgnoreTimes;
    streams: import_keeps_the_order_of_mixed_events, GroupsEventsByStream;
    bounds: invalid_appends_are_rejected, AcceptsInvalid;
    bounds: invalid_reads_are_rejected, AcceptsInvalid;
    bounds: pages_end_at_a_number_of_bytes, ReturnsWholePages;
    bounds: pages_end_at_the_requested_size, IgnoresPageSizes;
    bounds: concurrent_large_appends_are_all_stored, RejectsSomeAppends;
    bounds: values_at_the_limits_are_stored_unchanged, RejectsLargestEvent;
    bounds: similar_names_stay_distinct, KeysIgnoreCase;
    bounds: largest_append_is_stored_whole, TruncatesAppends;
    bounds: append_accepts_many_streams, TruncatesStreamLists;
    event_ids: event_id_is_stored_once, IgnoresEventIds;
    event_ids: reused_event_id_has_no_effect, IgnoresEventIds;
    event_ids: append_requires_stored_events, IgnoresRequiredEvents;
    event_ids: append_after_a_rejected_one_is_rejected, IgnoresRequiredEvents;
    event_ids: concurrent_appends_with_one_event_id_have_one_winner, IgnoresEventIds;
    repeats: repeated_append_is_recognized_by_its_event_ids, IgnoresEventIds;
    condition: append_condition_rejects_later_matching_event, IgnoresConditions;
    condition: append_condition_rejects_concurrent_event, IgnoresConditions;
    keys: idempotency_key_returns_first_result, IgnoresKeys;
    keys: idempotency_key_rejects_other_content, IgnoresFingerprints;
    keys: idempotency_key_accepts_other_schema_version, ComparesSchemaVersions;
    keys: concurrent_appends_with_one_key_store_once, IgnoresKeys;
    keys: concurrent_contents_for_one_key_store_exactly_one, IgnoresFingerprints;
    keys: conflicting_append_leaves_its_key_unused, StoresKeysOfConflicts;
    keys: idempotency_key_covers_append_without_events, KeysNeedEvents;
    race: conflicting_appends_have_exactly_one_winner, IgnoresExpectedVersions;
    race: stream_creation_has_exactly_one_winner, ChecksExistenceBeforeTransaction;
    race: appends_to_disjoint_streams_never_conflict, RejectsSomeAppends;
    race: conflict_rejects_only_its_own_append, RejectsSomeAppends;
    neighbours: concurrent_appends_get_their_own_results, ReportsHeadAsPosition;
    neighbours: mutually_checking_appends_have_one_winner, ChecksOnlyWrittenStreams;
    neighbours: dropped_append_can_be_retried, StoresPartially;
    race: readers_never_see_partial_appends, StoresPartially;
    race: subscriber_gets_every_event_once_in_order, SkipsEvents;
    race: commit_is_visible_to_other_handle_at_once, ReadsStale;
    read: reads_page_forward_and_backward, IncludesCursor;
    read: page_reports_whether_more_events_exist, ReportsNoMoreEvents;
    read: query_accepts_many_tags_and_event_types, TruncatesQueries;
    read: stream_prefix_matches_literally, PrefixesArePatterns;
    read: pages_of_large_events_are_complete, TruncatesLargePages;
    read: subscriber_gets_undecodable_events, DropsUndecodableRows;
    model: read_returns_exactly_the_matching_events, UsesOnlyFirstTag;
    model: append_condition_agrees_with_read, ConditionsIgnoreTags;
    snapshot: newest_snapshot_is_loaded, KeepsFirstSnapshot;
    snapshot: concurrent_snapshot_saves_keep_the_newest, KeepsLastSavedSnapshot;
    snapshot: oversized_snapshot_is_rejected, AcceptsInvalid;
    snapshot: state_from_snapshot_equals_replay, ShiftsSnapshotVersion;
    snapshot: incompatible_snapshot_is_ignored, SnapshotsLoseSchemaVersion;
    documents: documents_survive_reopen, LosesDocumentsOnClose;
    documents: document_scan_follows_key_order, ScansIgnoreAfter;
    documents: document_scan_ends_at_a_number_of_bytes, ReturnsWholePages;
    documents: document_changes_are_atomic, ChangesDocumentsOneByOne;
    documents: document_revision_is_never_reused, ReturnsConstantRevision;
    documents: conflicting_document_changes_have_one_winner, IgnoresRevisions;
    documents: invalid_document_changes_are_rejected, AcceptsInvalid;
    documents: liveness_lock_is_held_by_open_store, ReleasesLivenessLocks;
    document_changes: events_and_documents_commit_atomically, ChangesDocumentsDespiteConflict;
    document_changes: append_checks_the_documents_that_it_requires, IgnoresRevisions;
    document_changes: repeated_append_changes_no_document, RepeatsDocumentChanges;
    document_changes: appends_that_change_one_document_have_one_winner, IgnoresRevisions;
    document_changes: readers_never_see_events_without_their_documents, ChangesDocumentsAfterEvents;
    projection: projection_applies_each_event_once_under_faults, LosesLastChange;
    projection: dead_letter_blocks_only_its_own_stream, IgnoresDeletes;
    projection: stale_lease_owner_cannot_write, IgnoresRevisions;
    projection: external_read_model_gets_every_event_under_faults, SkipsEvents;
    engine: concurrent_engines_lose_no_update, IgnoresExpectedVersions;
    engine: idempotency_key_executes_once_on_two_engines, IgnoresKeys;
    engine: dcb_limit_holds_across_two_handles, IgnoresConditions;
    retry: commands_with_keys_execute_once_under_faults, IgnoresKeys;
    retry: commands_without_keys_execute_at_most_once_under_faults, ReportsCommitsAsFailures;
    retry: command_results_match_stored_events_under_faults, ReportsCommitsAsFailures;
    retry: dcb_limit_holds_under_faults, IgnoresConditions;
    faults: readers_get_every_event_once_under_faults, SkipsEvents;
    faults: state_from_snapshot_equals_replay_under_faults, SnapshotVersionLagsState;
    faults: multi_stream_append_is_atomic_under_faults, StoresPartially;
    process: process_commands_execute_once_under_faults, IgnoresKeys;
    process: process_deadline_fires_once_on_two_nodes_under_faults, IgnoresKeys;
    process: schedule_fires_once_on_two_nodes_under_faults, IgnoresKeysAndRevisions;
    process: event_handler_gets_every_event_under_faults, SkipsEvents;
    process_work: failed_delivery_blocks_only_its_own_instance, LosesLastChange;
    process_work: process_deadline_can_be_moved_and_cancelled_under_faults, ScansInStorageOrder;
    process_begin: event_handler_keeps_its_first_start_position, IgnoresRevisions;
    process_begin: orphans_are_listed_and_block_nothing, LosesLastChange;
    process_commands: stored_commands_are_upcast, LosesLastChange;
    process_commands: commands_of_newer_schema_wait_for_newer_code, LosesLastChange;
    process_forms: stored_process_state_is_upcast, LosesDigits;
    deadline: deadlines_commit_atomically_with_their_events, ChangesDocumentsDespiteConflict;
    deadline: deadlines_fire_once_in_due_order_under_faults, IgnoresKeysAndRevisions;
    deadline: changed_deadline_never_fires_at_its_old_time, IgnoresRevisions;
    deadline: deadlines_survive_restart_and_fire_late, LosesDocumentsOnClose;
}

/// Defines a test for each fault that a real event store had, with a case that must find it.
macro_rules! found_in_the_field {
    ($($bug:ident: $area:ident: $case:ident, $fault:ident;)*) => {
        mod found_in_the_field {
            use super::*;

            $(
                #[test]
                fn $bug() {
                    type Store = Place<{ Fault::$fault as usize }>;
                    finds(stringify!($case), factum_testkit::conformance::$area::$case::<Store>);
                }
            )*
        }
    };
}

found_in_the_field! {
    lower_position_committed_later_is_skipped:
        race: subscriber_gets_every_event_once_in_order, LowerPositionsCommitLater;
    lower_position_committed_later_is_skipped_under_faults:
        faults: readers_get_every_event_once_under_faults, LowerPositionsCommitLater;
    slow_writer_conflicts_with_unrelated_streams:
        race: appends_to_disjoint_streams_never_conflict, SlowWritersRejectOthers;
    conflict_is_reported_as_success:
        race: conflict_rejects_only_its_own_append, SwallowsConflicts;
    hidden_conflict_loses_update:
        engine: concurrent_engines_lose_no_update, SwallowsConflicts;
    undecodable_rows_are_dropped:
        durable: stored_events_are_returned_byte_for_byte, DropsUndecodableRows;
    snapshot_applies_newest_events_twice:
        snapshot: state_from_snapshot_equals_replay, SnapshotVersionLagsState;
    restart_loses_idempotency_keys:
        durable: events_keys_and_snapshots_survive_reopen, LosesKeysOnClose;
    stream_existence_is_checked_outside_transaction:
        race: stream_creation_has_exactly_one_winner, ChecksExistenceBeforeTransaction;
    ids_are_truncated:
        bounds: values_at_the_limits_are_stored_unchanged, TruncatesIds;
    version_after_maximum_is_negative:
        append: expected_version_is_checked_per_stream, VersionsWrap;
    position_after_maximum_is_first:
        model: read_returns_exactly_the_matching_events, CursorsWrap;
}

/// Returns the panic message of a case that must exceed a time limit of one second.
fn time_out<F: Future<Output = ()>>(
    name: &str,
    case: impl FnOnce() -> F + Send + 'static,
) -> String {
    failure(|| run_within(Duration::from_secs(1), name, case))
}

#[test]
fn watch_that_misses_other_handles_is_found() {
    type Deaf = Place<{ Fault::NotifiesOnlyOwnCommits as usize }>;
    let case = race::watcher_wakes_for_commit_of_any_handle::<Deaf>;
    let message = time_out("watcher_wakes_for_commit_of_any_handle", case);
    assert_eq!(
        message,
        "watcher_wakes_for_commit_of_any_handle hangs: not finished after 1s"
    );
}

#[test]
fn blocking_store_is_found() {
    type Blocking = Place<{ Fault::BlocksThread as usize }>;
    let case = read::reads_page_forward_and_backward::<Blocking>;
    let message = time_out("reads_page_forward_and_backward", case);
    assert_eq!(
        message,
        "reads_page_forward_and_backward hangs: not finished after 1s"
    );
}

/// Returns the names of all cases of the suite.
fn cases() -> Vec<&'static str> {
    let mut cases = Vec::new();
    macro_rules! names {
        ($backend:ty; $($area:ident: $case:ident;)*) => {
            cases.extend([$(stringify!($case)),*]);
        };
    }
    factum_testkit::__conformance_cases!(names, ());
    cases
}

#[test]
fn every_case_has_a_fault_to_find() {
    let mut found = FOUND.to_vec();
    found.push("watcher_wakes_for_commit_of_any_handle");
    let cases = cases();
    let missing: Vec<_> = cases.iter().filter(|case| !found.contains(case)).collect();
    assert!(missing.is_empty(), "no fault for {missing:?}");
    assert_eq!(cases.len(), found.len());
}
