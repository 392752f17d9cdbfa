//! Tests of the conformance suite: each case fails for a store with a known fault.

#[path = "support/broken_store.rs"]
mod broken_store;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use broken_store::{Fault, Place};
use factum_testkit::{conformance, conformance_race, conformance_read};

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
    let message = failure(|| conformance::run(name, case));
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
    conformance_durable: events_keys_and_snapshots_survive_reopen, ForgetsKeysOnClose;
    conformance_append: multi_stream_append_is_atomic, SwallowsConflicts;
    conformance_append: conflict_lists_every_violation_in_order, SortsStreams;
    conformance_append: expected_version_is_checked_per_stream, IgnoresExpectations;
    conformance_append: append_without_events_only_checks_versions, IgnoresExpectations;
    conformance_append: stream_without_events_only_checks_its_version, ChecksOnlyWhatItWrites;
    conformance_bounds: invalid_appends_are_rejected, TakesTheInvalid;
    conformance_bounds: values_at_the_limits_are_stored_unchanged, RefusesTheLargest;
    conformance_bounds: similar_names_stay_distinct, KeysIgnoreCase;
    conformance_bounds: largest_append_is_stored_whole, LosesTheTail;
    conformance_bounds: append_accepts_many_streams, CutsReadsOfStreams;
    conformance_condition: append_condition_rejects_later_matching_event, IgnoresConditions;
    conformance_condition: append_condition_rejects_concurrent_event, IgnoresConditions;
    conformance_keys: idempotency_key_returns_first_result, ForgetsKeys;
    conformance_keys: idempotency_key_rejects_other_content, ReusesKeys;
    conformance_keys: concurrent_appends_with_one_key_store_once, ForgetsKeys;
    conformance_keys: concurrent_contents_for_one_key_store_exactly_one, ReusesKeys;
    conformance_keys: conflicting_append_leaves_its_key_unused, KeysOutliveConflicts;
    conformance_keys: idempotency_key_covers_append_without_events, KeysNeedEvents;
    conformance_race: conflicting_appends_have_exactly_one_winner, IgnoresExpectations;
    conformance_race: stream_creation_has_exactly_one_winner, ChecksExistenceAhead;
    conformance_race: appends_to_disjoint_streams_never_conflict, RefusesSomeNeighbours;
    conformance_race: conflict_rejects_only_its_own_append, RefusesSomeNeighbours;
    conformance_neighbours: concurrent_appends_get_their_own_results, AnswersLate;
    conformance_neighbours: mutually_checking_appends_have_one_winner, ChecksOnlyWhatItWrites;
    conformance_neighbours: dropped_append_can_be_retried, StoresHalf;
    conformance_race: readers_never_see_partial_appends, StoresHalf;
    conformance_race: subscriber_gets_every_event_once_in_order, SkipsAnEvent;
    conformance_race: commit_is_visible_to_other_handle_at_once, ReadsStale;
    conformance_read: reads_page_forward_and_backward, CountsFromTheCursor;
    conformance_read: page_reports_whether_more_events_exist, SaysThereIsNoMore;
    conformance_read: query_accepts_many_tags_and_event_types, CutsQueries;
    conformance_read: stream_prefix_matches_literally, PrefixesArePatterns;
    conformance_read: pages_of_large_events_are_complete, CutsLargePages;
    conformance_read: subscriber_gets_undecodable_events, DropsUndecodableRows;
    conformance_model: read_returns_exactly_the_matching_events, TagsAreOptional;
    conformance_model: append_condition_agrees_with_read, ConditionsIgnoreTags;
    conformance_snapshot: newest_snapshot_is_loaded, KeepsOldSnapshots;
    conformance_snapshot: concurrent_snapshot_saves_keep_the_newest, KeepsTheLastSnapshot;
    conformance_snapshot: state_from_snapshot_equals_replay, MovesSnapshots;
    conformance_snapshot: incompatible_snapshot_is_ignored, SnapshotsLoseTheirForm;
    conformance_documents: documents_survive_reopen, ForgetsDocumentsOnClose;
    conformance_documents: document_scan_follows_key_order, ScansIgnoreWhatIsBehind;
    conformance_documents: document_changes_are_atomic, ChangesOneByOne;
    conformance_documents: document_revision_is_never_reused, RevisionsStandStill;
    conformance_documents: conflicting_document_changes_have_one_winner, ChangesBlindly;
    conformance_documents: invalid_document_changes_are_rejected, TakesTheInvalid;
    conformance_together: events_and_documents_commit_atomically, ChangesDespiteConflicts;
    conformance_together: repeated_append_changes_no_document, ChangesAgain;
    conformance_together: appends_that_change_one_document_have_one_winner, ChangesBlindly;
    conformance_together: readers_never_see_events_without_their_documents, ChangesBehindTheEvents;
    conformance_projection: projection_applies_each_event_once_under_faults, ChangesLoseTheLast;
    conformance_projection: dead_letter_blocks_only_its_own_stream, KeepsWhatIsDeleted;
    conformance_projection: stale_lease_owner_cannot_write, ChangesBlindly;
    conformance_projection: external_read_model_gets_every_event_under_faults, SkipsAnEvent;
    conformance_engine: concurrent_engines_lose_no_update, IgnoresExpectations;
    conformance_engine: idempotency_key_executes_once_on_two_engines, ForgetsKeys;
    conformance_engine: dcb_limit_holds_across_two_handles, IgnoresConditions;
    conformance_retry: commands_with_keys_execute_once_under_faults, ForgetsKeys;
    conformance_retry: commands_without_keys_execute_at_most_once_under_faults, TakesCommitsForFailures;
    conformance_retry: command_results_match_stored_events_under_faults, TakesCommitsForFailures;
    conformance_retry: dcb_limit_holds_under_faults, IgnoresConditions;
    conformance_faults: readers_get_every_event_once_under_faults, SkipsAnEvent;
    conformance_faults: state_from_snapshot_equals_replay_under_faults, SnapshotsLagBehindTheirState;
    conformance_faults: multi_stream_append_is_atomic_under_faults, StoresHalf;
    conformance_process: process_commands_execute_once_under_faults, ForgetsKeys;
    conformance_process: process_deadline_fires_once_on_two_nodes_under_faults, ForgetsKeys;
    conformance_process: schedule_fires_once_on_two_nodes_under_faults, ForgetsKeys;
    conformance_process: event_handler_gets_every_event_under_faults, SkipsAnEvent;
    conformance_process_work: failed_delivery_blocks_only_its_own_instance, ChangesLoseTheLast;
    conformance_process_work: process_deadline_can_be_moved_and_cancelled_under_faults, ScansComeAsStored;
    conformance_process_begin: event_handler_keeps_its_first_start_position, ChangesBlindly;
    conformance_process_begin: orphans_are_listed_and_block_nothing, ChangesLoseTheLast;
    conformance_process_commands: stored_commands_are_upcast, ChangesLoseTheLast;
    conformance_process_commands: commands_of_newer_schema_wait_for_newer_code, ChangesLoseTheLast;
    conformance_process_forms: stored_process_state_is_upcast, NumbersLoseDigits;
    conformance_deadline: deadlines_commit_atomically_with_their_events, ChangesDespiteConflicts;
    conformance_deadline: deadlines_fire_once_in_due_order_under_faults, ForgetsKeysAndRevisions;
    conformance_deadline: changed_deadline_never_fires_at_its_old_time, ChangesBlindly;
    conformance_deadline: deadlines_survive_restart_and_fire_late, ForgetsDocumentsOnClose;
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
    a_lower_position_that_commits_later_is_skipped:
        conformance_race: subscriber_gets_every_event_once_in_order, LowerPositionsCommitLater;
    a_lower_position_that_commits_later_is_skipped_under_faults:
        conformance_faults: readers_get_every_event_once_under_faults, LowerPositionsCommitLater;
    a_slow_writer_makes_unrelated_streams_conflict:
        conformance_race: appends_to_disjoint_streams_never_conflict, SlowWritersRefuseOthers;
    a_conflict_is_reported_as_success:
        conformance_race: conflict_rejects_only_its_own_append, SwallowsConflicts;
    a_conflict_is_reported_as_success_and_an_update_is_lost:
        conformance_engine: concurrent_engines_lose_no_update, SwallowsConflicts;
    rows_that_cannot_be_decoded_are_dropped:
        conformance_durable: stored_events_are_returned_byte_for_byte, DropsUndecodableRows;
    the_newest_events_are_applied_to_a_snapshot_twice:
        conformance_snapshot: state_from_snapshot_equals_replay, SnapshotsLagBehindTheirState;
    a_restart_forgets_the_keys:
        conformance_durable: events_keys_and_snapshots_survive_reopen, ForgetsKeysOnClose;
    whether_a_stream_exists_is_checked_outside_of_the_transaction:
        conformance_race: stream_creation_has_exactly_one_winner, ChecksExistenceAhead;
    ids_are_cut:
        conformance_bounds: values_at_the_limits_are_stored_unchanged, CutsIds;
    the_version_behind_the_last_is_negative:
        conformance_append: expected_version_is_checked_per_stream, VersionsWrap;
    the_place_behind_the_last_is_the_first:
        conformance_model: read_returns_exactly_the_matching_events, CursorsWrap;
}

/// Returns the panic message of a case that must exceed a time limit of one second.
fn time_out<F: Future<Output = ()>>(
    name: &str,
    case: impl FnOnce() -> F + Send + 'static,
) -> String {
    failure(|| conformance::run_within(Duration::from_secs(1), name, case))
}

#[test]
fn a_watch_that_sleeps_through_the_other_handle_is_found() {
    type Deaf = Place<{ Fault::HearsOnlyItself as usize }>;
    let case = conformance_race::watcher_wakes_for_commit_of_any_handle::<Deaf>;
    let said = hang("watcher_wakes_for_commit_of_any_handle", case);
    assert_eq!(
        said,
        "watcher_wakes_for_commit_of_any_handle hangs: not finished after 1s"
    );
}

#[test]
fn a_store_that_blocks_its_thread_is_found() {
    type Blocking = Place<{ Fault::Blocks as usize }>;
    let case = conformance_read::reads_page_forward_and_backward::<Blocking>;
    let said = hang("reads_page_forward_and_backward", case);
    assert_eq!(
        said,
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
