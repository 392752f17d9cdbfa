//! The conformance suite can fail: for every case there is a store, broken in one way, that it finds.

#[path = "support/broken_store.rs"]
mod broken_store;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use broken_store::{Fault, Place};
use factum_testkit::conformance::{self, race, read};

/// What a case says that must fail.
fn failure(run: impl FnOnce()) -> String {
    let failed: Box<dyn Any + Send> =
        catch_unwind(AssertUnwindSafe(run)).expect_err("the case did not find the fault");
    let said = failed.downcast_ref::<String>().cloned();
    said.or_else(|| failed.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

/// Runs a case that must fail, and not by hanging.
fn finds<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) {
    let said = failure(|| conformance::run(name, case));
    assert!(!said.contains(" hangs: "), "{said}");
}

/// The fault that each case of the suite finds.
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
    durable: stored_events_are_returned_byte_for_byte, ChangesData;
    durable: events_keys_and_snapshots_survive_reopen, ForgetsKeysOnClose;
    append: multi_stream_append_is_atomic, SwallowsConflicts;
    append: conflict_lists_every_violation_in_order, SortsStreams;
    append: expected_version_is_checked_per_stream, IgnoresExpectations;
    append: append_without_events_only_checks_versions, IgnoresExpectations;
    append: stream_without_events_only_checks_its_version, ChecksOnlyWhatItWrites;
    bounds: invalid_appends_are_rejected, TakesTheInvalid;
    bounds: values_at_the_limits_are_stored_unchanged, RefusesTheLargest;
    bounds: similar_names_stay_distinct, KeysIgnoreCase;
    bounds: largest_append_is_stored_whole, LosesTheTail;
    bounds: append_accepts_many_streams, CutsReadsOfStreams;
    condition: append_condition_rejects_later_matching_event, IgnoresConditions;
    condition: append_condition_rejects_concurrent_event, IgnoresConditions;
    keys: idempotency_key_returns_first_result, ForgetsKeys;
    keys: idempotency_key_rejects_other_content, ReusesKeys;
    keys: concurrent_appends_with_one_key_store_once, ForgetsKeys;
    keys: concurrent_contents_for_one_key_store_exactly_one, ReusesKeys;
    keys: conflicting_append_leaves_its_key_unused, KeysOutliveConflicts;
    keys: idempotency_key_covers_append_without_events, KeysNeedEvents;
    race: conflicting_appends_have_exactly_one_winner, IgnoresExpectations;
    race: stream_creation_has_exactly_one_winner, ChecksExistenceAhead;
    race: appends_to_disjoint_streams_never_conflict, RefusesSomeNeighbours;
    race: conflict_rejects_only_its_own_append, RefusesSomeNeighbours;
    neighbours: concurrent_appends_get_their_own_results, AnswersLate;
    neighbours: mutually_checking_appends_have_one_winner, ChecksOnlyWhatItWrites;
    neighbours: dropped_append_can_be_retried, StoresHalf;
    race: readers_never_see_partial_appends, StoresHalf;
    race: subscriber_gets_every_event_once_in_order, SkipsAnEvent;
    race: commit_is_visible_to_other_handle_at_once, ReadsStale;
    read: reads_page_forward_and_backward, CountsFromTheCursor;
    read: page_reports_whether_more_events_exist, SaysThereIsNoMore;
    read: query_accepts_many_tags_and_event_types, CutsQueries;
    read: stream_prefix_matches_literally, PrefixesArePatterns;
    read: pages_of_large_events_are_complete, CutsLargePages;
    read: subscriber_gets_undecodable_events, DropsUndecodableRows;
    model: read_returns_exactly_the_matching_events, TagsAreOptional;
    model: append_condition_agrees_with_read, ConditionsIgnoreTags;
    snapshot: newest_snapshot_is_loaded, KeepsOldSnapshots;
    snapshot: concurrent_snapshot_saves_keep_the_newest, KeepsTheLastSnapshot;
    snapshot: state_from_snapshot_equals_replay, MovesSnapshots;
    snapshot: incompatible_snapshot_is_ignored, SnapshotsLoseTheirForm;
    documents: documents_survive_reopen, ForgetsDocumentsOnClose;
    documents: document_scan_follows_key_order, ScansIgnoreWhatIsBehind;
    documents: document_changes_are_atomic, ChangesOneByOne;
    documents: document_revision_is_never_reused, RevisionsStandStill;
    documents: conflicting_document_changes_have_one_winner, ChangesBlindly;
    documents: invalid_document_changes_are_rejected, TakesTheInvalid;
    document_changes: events_and_documents_commit_atomically, ChangesDespiteConflicts;
    document_changes: repeated_append_changes_no_document, ChangesAgain;
    document_changes: appends_that_change_one_document_have_one_winner, ChangesBlindly;
    document_changes: readers_never_see_events_without_their_documents, ChangesBehindTheEvents;
    projection: projection_applies_each_event_once_under_faults, ChangesLoseTheLast;
    projection: dead_letter_blocks_only_its_own_stream, KeepsWhatIsDeleted;
    projection: stale_lease_owner_cannot_write, ChangesBlindly;
    projection: external_read_model_gets_every_event_under_faults, SkipsAnEvent;
    engine: concurrent_engines_lose_no_update, IgnoresExpectations;
    engine: idempotency_key_executes_once_on_two_engines, ForgetsKeys;
    engine: dcb_limit_holds_across_two_handles, IgnoresConditions;
    retry: commands_with_keys_execute_once_under_faults, ForgetsKeys;
    retry: commands_without_keys_execute_at_most_once_under_faults, TakesCommitsForFailures;
    retry: command_results_match_stored_events_under_faults, TakesCommitsForFailures;
    retry: dcb_limit_holds_under_faults, IgnoresConditions;
    faults: readers_get_every_event_once_under_faults, SkipsAnEvent;
    faults: state_from_snapshot_equals_replay_under_faults, SnapshotsLagBehindTheirState;
    faults: multi_stream_append_is_atomic_under_faults, StoresHalf;
    process: process_commands_execute_once_under_faults, ForgetsKeys;
    process: process_deadline_fires_once_on_two_nodes_under_faults, ForgetsKeys;
    process: schedule_fires_once_on_two_nodes_under_faults, ForgetsKeys;
    process: event_handler_gets_every_event_under_faults, SkipsAnEvent;
    process_work: failed_delivery_blocks_only_its_own_instance, ChangesLoseTheLast;
    process_work: process_deadline_can_be_moved_and_cancelled_under_faults, ScansComeAsStored;
    process_begin: event_handler_keeps_its_first_start_position, ChangesBlindly;
    process_begin: orphans_are_listed_and_block_nothing, ChangesLoseTheLast;
    process_commands: stored_commands_are_upcast, ChangesLoseTheLast;
    process_commands: commands_of_newer_schema_wait_for_newer_code, ChangesLoseTheLast;
    process_forms: stored_process_state_is_upcast, NumbersLoseDigits;
    deadline: deadlines_commit_atomically_with_their_events, ChangesDespiteConflicts;
    deadline: deadlines_fire_once_in_due_order_under_faults, ForgetsKeysAndRevisions;
    deadline: changed_deadline_never_fires_at_its_old_time, ChangesBlindly;
    deadline: deadlines_survive_restart_and_fire_late, ForgetsDocumentsOnClose;
}

/// Faults that event stores in the field have been found with, and the case that finds each.
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
        race: subscriber_gets_every_event_once_in_order, LowerPositionsCommitLater;
    a_lower_position_that_commits_later_is_skipped_under_faults:
        faults: readers_get_every_event_once_under_faults, LowerPositionsCommitLater;
    a_slow_writer_makes_unrelated_streams_conflict:
        race: appends_to_disjoint_streams_never_conflict, SlowWritersRefuseOthers;
    a_conflict_is_reported_as_success:
        race: conflict_rejects_only_its_own_append, SwallowsConflicts;
    a_conflict_is_reported_as_success_and_an_update_is_lost:
        engine: concurrent_engines_lose_no_update, SwallowsConflicts;
    rows_that_cannot_be_decoded_are_dropped:
        durable: stored_events_are_returned_byte_for_byte, DropsUndecodableRows;
    the_newest_events_are_applied_to_a_snapshot_twice:
        snapshot: state_from_snapshot_equals_replay, SnapshotsLagBehindTheirState;
    a_restart_forgets_the_keys:
        durable: events_keys_and_snapshots_survive_reopen, ForgetsKeysOnClose;
    whether_a_stream_exists_is_checked_outside_of_the_transaction:
        race: stream_creation_has_exactly_one_winner, ChecksExistenceAhead;
    ids_are_cut:
        bounds: values_at_the_limits_are_stored_unchanged, CutsIds;
    the_version_behind_the_last_is_negative:
        append: expected_version_is_checked_per_stream, VersionsWrap;
    the_place_behind_the_last_is_the_first:
        model: read_returns_exactly_the_matching_events, CursorsWrap;
}

/// What a case says when it comes to no end.
fn hang<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) -> String {
    failure(|| conformance::run_within(Duration::from_secs(1), name, case))
}

#[test]
fn a_watch_that_sleeps_through_the_other_handle_is_found() {
    type Deaf = Place<{ Fault::HearsOnlyItself as usize }>;
    let case = race::watcher_wakes_for_commit_of_any_handle::<Deaf>;
    let said = hang("watcher_wakes_for_commit_of_any_handle", case);
    assert_eq!(
        said,
        "watcher_wakes_for_commit_of_any_handle hangs: not finished after 1s"
    );
}

#[test]
fn a_store_that_blocks_its_thread_is_found() {
    type Blocking = Place<{ Fault::Blocks as usize }>;
    let case = read::reads_page_forward_and_backward::<Blocking>;
    let said = hang("reads_page_forward_and_backward", case);
    assert_eq!(said, "reads_page_forward_and_backward hangs: not finished after 1s");
}

macro_rules! names {
    ($backend:ty; $($area:ident: $case:ident;)*) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];
    };
}

factum_testkit::__conformance_cases!(names, ());

#[test]
fn every_case_finds_a_fault() {
    let mut found = FOUND.to_vec();
    found.push("watcher_wakes_for_commit_of_any_handle");
    let missing: Vec<_> = CASES.iter().filter(|case| !found.contains(case)).collect();
    assert!(
        missing.is_empty(),
        "nothing shows that {missing:?} can fail"
    );
    assert_eq!(CASES.len(), found.len());
}
