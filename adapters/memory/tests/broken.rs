//! Tests of the conformance suite: each case fails for a store with a known fault.

#[path = "support/broken_store.rs"]
mod broken_store;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use broken_store::{Fault, Place};
use factum_testkit::conformance::{run, run_within};
use factum_testkit::{conformance_race, conformance_read};

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
                    finds(stringify!($case), factum_testkit::$area::$case::<Store>);
                }
            )*
        }
    };
}

finds! {
    conformance_durable: stored_events_are_returned_byte_for_byte, ChangesData;
    conformance_durable: events_keys_and_snapshots_survive_reopen, LosesKeysOnClose;
    conformance_append: multi_stream_append_is_atomic, SwallowsConflicts;
    conformance_append: conflict_lists_every_violation_in_order, SortsStreams;
    conformance_append: expected_version_is_checked_per_stream, IgnoresExpectedVersions;
    conformance_append: append_without_events_only_checks_versions, IgnoresExpectedVersions;
    conformance_append: stream_without_events_only_checks_its_version, ChecksOnlyWrittenStreams;
    conformance_bounds: invalid_appends_are_rejected, AcceptsInvalid;
    conformance_bounds: values_at_the_limits_are_stored_unchanged, RejectsLargestEvent;
    conformance_bounds: similar_names_stay_distinct, KeysIgnoreCase;
    conformance_bounds: largest_append_is_stored_whole, TruncatesAppends;
    conformance_bounds: append_accepts_many_streams, TruncatesStreamLists;
    conformance_condition: append_condition_rejects_later_matching_event, IgnoresConditions;
    conformance_condition: append_condition_rejects_concurrent_event, IgnoresConditions;
    conformance_keys: idempotency_key_returns_first_result, IgnoresKeys;
    conformance_keys: idempotency_key_rejects_other_content, IgnoresFingerprints;
    conformance_keys: concurrent_appends_with_one_key_store_once, IgnoresKeys;
    conformance_keys: concurrent_contents_for_one_key_store_exactly_one, IgnoresFingerprints;
    conformance_keys: conflicting_append_leaves_its_key_unused, StoresKeysOfConflicts;
    conformance_keys: idempotency_key_covers_append_without_events, KeysNeedEvents;
    conformance_race: conflicting_appends_have_exactly_one_winner, IgnoresExpectedVersions;
    conformance_race: stream_creation_has_exactly_one_winner, ChecksExistenceBeforeTransaction;
    conformance_race: appends_to_disjoint_streams_never_conflict, RejectsSomeAppends;
    conformance_race: conflict_rejects_only_its_own_append, RejectsSomeAppends;
    conformance_neighbours: concurrent_appends_get_their_own_results, ReportsHeadAsPosition;
    conformance_neighbours: mutually_checking_appends_have_one_winner, ChecksOnlyWrittenStreams;
    conformance_neighbours: dropped_append_can_be_retried, StoresPartially;
    conformance_race: readers_never_see_partial_appends, StoresPartially;
    conformance_race: subscriber_gets_every_event_once_in_order, SkipsEvents;
    conformance_race: commit_is_visible_to_other_handle_at_once, ReadsStale;
    conformance_read: reads_page_forward_and_backward, IncludesCursor;
    conformance_read: page_reports_whether_more_events_exist, ReportsNoMoreEvents;
    conformance_read: query_accepts_many_tags_and_event_types, TruncatesQueries;
    conformance_read: stream_prefix_matches_literally, PrefixesArePatterns;
    conformance_read: pages_of_large_events_are_complete, TruncatesLargePages;
    conformance_read: subscriber_gets_undecodable_events, DropsUndecodableRows;
    conformance_model: read_returns_exactly_the_matching_events, UsesOnlyFirstTag;
    conformance_model: append_condition_agrees_with_read, ConditionsIgnoreTags;
    conformance_snapshot: newest_snapshot_is_loaded, KeepsFirstSnapshot;
    conformance_snapshot: concurrent_snapshot_saves_keep_the_newest, KeepsLastSavedSnapshot;
    conformance_snapshot: state_from_snapshot_equals_replay, ShiftsSnapshotVersion;
    conformance_snapshot: incompatible_snapshot_is_ignored, SnapshotsLoseSchemaVersion;
    conformance_documents: documents_survive_reopen, LosesDocumentsOnClose;
    conformance_documents: document_scan_follows_key_order, ScansIgnoreAfter;
    conformance_documents: document_changes_are_atomic, ChangesDocumentsOneByOne;
    conformance_documents: document_revision_is_never_reused, ReturnsConstantRevision;
    conformance_documents: conflicting_document_changes_have_one_winner, IgnoresRevisions;
    conformance_documents: invalid_document_changes_are_rejected, AcceptsInvalid;
    conformance_together: events_and_documents_commit_atomically, ChangesDocumentsDespiteConflict;
    conformance_together: repeated_append_changes_no_document, RepeatsDocumentChanges;
    conformance_together: appends_that_change_one_document_have_one_winner, IgnoresRevisions;
    conformance_together: readers_never_see_events_without_their_documents, ChangesDocumentsAfterEvents;
    conformance_projection: projection_applies_each_event_once_under_faults, LosesLastChange;
    conformance_projection: dead_letter_blocks_only_its_own_stream, IgnoresDeletes;
    conformance_projection: stale_lease_owner_cannot_write, IgnoresRevisions;
    conformance_projection: external_read_model_gets_every_event_under_faults, SkipsEvents;
    conformance_engine: concurrent_engines_lose_no_update, IgnoresExpectedVersions;
    conformance_engine: idempotency_key_executes_once_on_two_engines, IgnoresKeys;
    conformance_engine: dcb_limit_holds_across_two_handles, IgnoresConditions;
    conformance_retry: commands_with_keys_execute_once_under_faults, IgnoresKeys;
    conformance_retry: commands_without_keys_execute_at_most_once_under_faults, ReportsCommitsAsFailures;
    conformance_retry: command_results_match_stored_events_under_faults, ReportsCommitsAsFailures;
    conformance_retry: dcb_limit_holds_under_faults, IgnoresConditions;
    conformance_faults: readers_get_every_event_once_under_faults, SkipsEvents;
    conformance_faults: state_from_snapshot_equals_replay_under_faults, SnapshotVersionLagsState;
    conformance_faults: multi_stream_append_is_atomic_under_faults, StoresPartially;
    conformance_process: process_commands_execute_once_under_faults, IgnoresKeys;
    conformance_process: process_deadline_fires_once_on_two_nodes_under_faults, IgnoresKeys;
    conformance_process: schedule_fires_once_on_two_nodes_under_faults, IgnoresKeys;
    conformance_process: event_handler_gets_every_event_under_faults, SkipsEvents;
    conformance_process_work: failed_delivery_blocks_only_its_own_instance, LosesLastChange;
    conformance_process_work: process_deadline_can_be_moved_and_cancelled_under_faults, ScansInStorageOrder;
    conformance_process_begin: event_handler_keeps_its_first_start_position, IgnoresRevisions;
    conformance_process_begin: orphans_are_listed_and_block_nothing, LosesLastChange;
    conformance_process_commands: stored_commands_are_upcast, LosesLastChange;
    conformance_process_commands: commands_of_newer_schema_wait_for_newer_code, LosesLastChange;
    conformance_process_forms: stored_process_state_is_upcast, LosesDigits;
    conformance_deadline: deadlines_commit_atomically_with_their_events, ChangesDocumentsDespiteConflict;
    conformance_deadline: deadlines_fire_once_in_due_order_under_faults, IgnoresKeysAndRevisions;
    conformance_deadline: changed_deadline_never_fires_at_its_old_time, IgnoresRevisions;
    conformance_deadline: deadlines_survive_restart_and_fire_late, LosesDocumentsOnClose;
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
                    finds(stringify!($case), factum_testkit::$area::$case::<Store>);
                }
            )*
        }
    };
}

found_in_the_field! {
    lower_position_committed_later_is_skipped:
        conformance_race: subscriber_gets_every_event_once_in_order, LowerPositionsCommitLater;
    lower_position_committed_later_is_skipped_under_faults:
        conformance_faults: readers_get_every_event_once_under_faults, LowerPositionsCommitLater;
    slow_writer_conflicts_with_unrelated_streams:
        conformance_race: appends_to_disjoint_streams_never_conflict, SlowWritersRejectOthers;
    conflict_is_reported_as_success:
        conformance_race: conflict_rejects_only_its_own_append, SwallowsConflicts;
    hidden_conflict_loses_update:
        conformance_engine: concurrent_engines_lose_no_update, SwallowsConflicts;
    undecodable_rows_are_dropped:
        conformance_durable: stored_events_are_returned_byte_for_byte, DropsUndecodableRows;
    snapshot_applies_newest_events_twice:
        conformance_snapshot: state_from_snapshot_equals_replay, SnapshotVersionLagsState;
    restart_loses_idempotency_keys:
        conformance_durable: events_keys_and_snapshots_survive_reopen, LosesKeysOnClose;
    stream_existence_is_checked_outside_transaction:
        conformance_race: stream_creation_has_exactly_one_winner, ChecksExistenceBeforeTransaction;
    ids_are_truncated:
        conformance_bounds: values_at_the_limits_are_stored_unchanged, TruncatesIds;
    version_after_maximum_is_negative:
        conformance_append: expected_version_is_checked_per_stream, VersionsWrap;
    position_after_maximum_is_first:
        conformance_model: read_returns_exactly_the_matching_events, CursorsWrap;
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
    let case = conformance_race::watcher_wakes_for_commit_of_any_handle::<Deaf>;
    let message = time_out("watcher_wakes_for_commit_of_any_handle", case);
    assert_eq!(
        message,
        "watcher_wakes_for_commit_of_any_handle hangs: not finished after 1s"
    );
}

#[test]
fn blocking_store_is_found() {
    type Blocking = Place<{ Fault::BlocksThread as usize }>;
    let case = conformance_read::reads_page_forward_and_backward::<Blocking>;
    let message = time_out("reads_page_forward_and_backward", case);
    assert_eq!(
        message,
        "reads_page_forward_and_backward hangs: not finished after 1s"
    );
}

macro_rules! names {
    ($backend:ty; $($area:ident: $case:ident;)*) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];
    };
}

factum_testkit::__conformance_cases!(names, ());

#[test]
fn every_case_has_a_fault_to_find() {
    let mut found = FOUND.to_vec();
    found.push("watcher_wakes_for_commit_of_any_handle");
    let missing: Vec<_> = CASES.iter().filter(|case| !found.contains(case)).collect();
    assert!(missing.is_empty(), "no fault for {missing:?}");
    assert_eq!(CASES.len(), found.len());
}
