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
    conformance_durable: what_is_stored_comes_back_byte_for_byte, ChangesData;
    conformance_durable: everything_outlives_its_handles, LosesKeysOnClose;
    conformance_append: an_append_over_several_streams_is_all_or_nothing, SwallowsConflicts;
    conformance_append: every_violation_is_reported_in_order, SortsStreams;
    conformance_append: an_expectation_is_judged_against_its_stream, IgnoresExpectedVersions;
    conformance_append: an_append_without_events_only_checks, IgnoresExpectedVersions;
    conformance_append: a_stream_without_events_only_checks, ChecksOnlyWrittenStreams;
    conformance_bounds: what_no_store_takes_is_rejected, AcceptsInvalid;
    conformance_bounds: what_is_at_the_bounds_is_taken, RejectsLargestEvent;
    conformance_bounds: names_that_look_alike_are_different, KeysIgnoreCase;
    conformance_bounds: a_large_append_is_one_append, TruncatesAppends;
    conformance_bounds: an_append_may_have_many_streams, TruncatesStreamLists;
    conformance_condition: a_condition_rejects_what_has_arrived_behind_it, IgnoresConditions;
    conformance_condition: a_condition_rejects_a_neighbour_of_the_same_moment, IgnoresConditions;
    conformance_keys: a_key_gives_the_first_answer_again, IgnoresKeys;
    conformance_keys: a_key_used_for_other_content_is_an_error, IgnoresFingerprints;
    conformance_keys: many_appends_with_one_key_store_once, IgnoresKeys;
    conformance_keys: of_many_contents_for_one_key_one_is_taken, IgnoresFingerprints;
    conformance_keys: a_rejected_append_leaves_its_key_free, StoresKeysOfConflicts;
    conformance_keys: a_key_holds_for_an_append_without_events, KeysNeedEvents;
    conformance_race: of_many_that_expect_one_version_exactly_one_wins, IgnoresExpectedVersions;
    conformance_race: of_many_that_expect_no_stream_exactly_one_wins, ChecksExistenceBeforeTransaction;
    conformance_race: appends_to_disjoint_streams_never_conflict, RejectsSomeAppends;
    conformance_race: a_conflict_rejects_one_append_and_not_its_neighbours, RejectsSomeAppends;
    conformance_neighbours: each_answer_tells_of_its_own_append, ReportsHeadAsPosition;
    conformance_neighbours: two_that_check_what_the_other_writes_do_not_both_win, ChecksOnlyWrittenStreams;
    conformance_neighbours: a_dropped_append_can_be_asked_again, StoresPartially;
    conformance_race: readers_never_see_half_an_append, StoresPartially;
    conformance_race: a_subscriber_sees_every_event_once_and_in_order, SkipsEvents;
    conformance_race: a_commit_through_one_handle_is_seen_by_the_other_at_once, ReadsStale;
    conformance_read: pages_go_forward_and_backward, IncludesCursor;
    conformance_read: a_page_says_whether_there_is_more, ReportsNoMoreEvents;
    conformance_read: a_query_may_have_many_tags_and_names, TruncatesQueries;
    conformance_read: a_prefix_is_meant_literally, PrefixesArePatterns;
    conformance_read: pages_of_large_events_lose_nothing, TruncatesLargePages;
    conformance_read: a_subscriber_is_given_what_no_codec_reads, DropsUndecodableRows;
    conformance_model: a_read_finds_what_matches_and_nothing_else, UsesOnlyFirstTag;
    conformance_model: a_condition_is_judged_as_a_read_would, ConditionsIgnoreTags;
    conformance_snapshot: the_newest_snapshot_comes_back, KeepsFirstSnapshot;
    conformance_snapshot: of_snapshots_saved_together_the_newest_stays, KeepsLastSavedSnapshot;
    conformance_snapshot: state_from_a_snapshot_equals_a_replay, ShiftsSnapshotVersion;
    conformance_snapshot: a_snapshot_that_does_not_fit_is_ignored, SnapshotsLoseSchemaVersion;
    conformance_documents: documents_outlive_their_handles, LosesDocumentsOnClose;
    conformance_documents: documents_are_scanned_in_the_order_of_their_keys, ScansIgnoreAfter;
    conformance_documents: changes_are_made_together_or_not_at_all, ChangesDocumentsOneByOne;
    conformance_documents: a_revision_is_never_given_twice, ReturnsConstantRevision;
    conformance_documents: of_many_that_change_one_document_exactly_one_does, IgnoresRevisions;
    conformance_documents: documents_out_of_bounds_are_rejected, AcceptsInvalid;
    conformance_together: documents_change_with_the_events_or_not_at_all, ChangesDocumentsDespiteConflict;
    conformance_together: a_repeated_append_changes_no_document_again, RepeatsDocumentChanges;
    conformance_together: of_many_appends_that_change_one_document_exactly_one_is_stored, IgnoresRevisions;
    conformance_together: readers_never_see_events_without_their_documents, ChangesDocumentsAfterEvents;
    conformance_projection: a_projection_has_each_effect_once_under_faults, LosesLastChange;
    conformance_projection: a_poison_event_parks_its_stream_alone, IgnoresDeletes;
    conformance_projection: what_a_paused_owner_writes_is_rejected, IgnoresRevisions;
    conformance_projection: a_read_model_elsewhere_gets_every_event_under_faults, SkipsEvents;
    conformance_engine: engines_on_two_handles_lose_no_update, IgnoresExpectedVersions;
    conformance_engine: a_key_counts_once_over_two_engines, IgnoresKeys;
    conformance_engine: a_tag_query_holds_its_limit_over_two_handles, IgnoresConditions;
    conformance_retry: commands_with_keys_happen_once_under_faults, IgnoresKeys;
    conformance_retry: commands_without_keys_happen_at_most_once_under_faults, ReportsCommitsAsFailures;
    conformance_retry: an_answer_under_faults_tells_what_happened, ReportsCommitsAsFailures;
    conformance_retry: a_tag_query_holds_its_limit_under_faults, IgnoresConditions;
    conformance_faults: readers_see_every_event_once_under_faults, SkipsEvents;
    conformance_faults: state_from_a_snapshot_equals_a_replay_under_faults, SnapshotVersionLagsState;
    conformance_faults: an_append_over_several_streams_is_whole_under_faults, StoresPartially;
    conformance_process: commands_of_a_process_happen_once_under_faults, IgnoresKeys;
    conformance_process: a_deadline_passes_once_over_two_runners_under_faults, IgnoresKeys;
    conformance_process: a_schedule_occurs_once_over_two_runners_under_faults, IgnoresKeys;
    conformance_process: a_handler_is_given_every_event_under_faults, SkipsEvents;
    conformance_process_work: what_cannot_be_done_waits_in_order_and_holds_up_no_other, LosesLastChange;
    conformance_process_work: a_deadline_of_a_process_moves_and_is_cancelled_under_faults, ScansInStorageOrder;
    conformance_process_begin: a_handler_begins_where_it_was_first_started, IgnoresRevisions;
    conformance_process_begin: what_is_taken_out_of_the_code_is_listed_and_holds_up_nothing, LosesLastChange;
    conformance_process_commands: commands_of_an_older_form_are_brought_up, LosesLastChange;
    conformance_process_commands: commands_of_a_newer_form_are_left_to_newer_code, LosesLastChange;
    conformance_process_forms: a_state_of_an_older_form_is_brought_up, LosesDigits;
    conformance_deadline: deadlines_are_set_with_their_events_or_not_at_all, ChangesDocumentsDespiteConflict;
    conformance_deadline: deadlines_fire_once_in_due_order_over_two_runners_under_faults, IgnoresKeysAndRevisions;
    conformance_deadline: a_deadline_that_was_cancelled_or_moved_never_fires_at_its_old_time, IgnoresRevisions;
    conformance_deadline: deadlines_outlive_the_program_and_fire_late_rather_than_never, LosesDocumentsOnClose;
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
        conformance_race: a_subscriber_sees_every_event_once_and_in_order, LowerPositionsCommitLater;
    lower_position_committed_later_is_skipped_under_faults:
        conformance_faults: readers_see_every_event_once_under_faults, LowerPositionsCommitLater;
    slow_writer_conflicts_with_unrelated_streams:
        conformance_race: appends_to_disjoint_streams_never_conflict, SlowWritersRejectOthers;
    conflict_is_reported_as_success:
        conformance_race: a_conflict_rejects_one_append_and_not_its_neighbours, SwallowsConflicts;
    hidden_conflict_loses_update:
        conformance_engine: engines_on_two_handles_lose_no_update, SwallowsConflicts;
    undecodable_rows_are_dropped:
        conformance_durable: what_is_stored_comes_back_byte_for_byte, DropsUndecodableRows;
    snapshot_applies_newest_events_twice:
        conformance_snapshot: state_from_a_snapshot_equals_a_replay, SnapshotVersionLagsState;
    restart_loses_idempotency_keys:
        conformance_durable: everything_outlives_its_handles, LosesKeysOnClose;
    stream_existence_is_checked_outside_transaction:
        conformance_race: of_many_that_expect_no_stream_exactly_one_wins, ChecksExistenceBeforeTransaction;
    ids_are_truncated:
        conformance_bounds: what_is_at_the_bounds_is_taken, TruncatesIds;
    version_after_maximum_is_negative:
        conformance_append: an_expectation_is_judged_against_its_stream, VersionsWrap;
    position_after_maximum_is_first:
        conformance_model: a_read_finds_what_matches_and_nothing_else, CursorsWrap;
}

/// Returns the panic message of a case that must exceed a time limit of one second.
fn time_out<F: Future<Output = ()>>(
    name: &str,
    case: impl FnOnce() -> F + Send + 'static,
) -> String {
    failure(|| conformance::run_within(Duration::from_secs(1), name, case))
}

#[test]
fn watch_that_misses_other_handles_is_found() {
    type Deaf = Place<{ Fault::NotifiesOnlyOwnCommits as usize }>;
    let case = conformance_race::a_watcher_wakes_for_whoever_commits::<Deaf>;
    let message = time_out("a_watcher_wakes_for_whoever_commits", case);
    assert_eq!(
        message,
        "a_watcher_wakes_for_whoever_commits hangs: no end after 1s"
    );
}

#[test]
fn blocking_store_is_found() {
    type Blocking = Place<{ Fault::BlocksThread as usize }>;
    let case = conformance_read::pages_go_forward_and_backward::<Blocking>;
    let message = time_out("pages_go_forward_and_backward", case);
    assert_eq!(
        message,
        "pages_go_forward_and_backward hangs: no end after 1s"
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
    found.push("a_watcher_wakes_for_whoever_commits");
    let missing: Vec<_> = CASES.iter().filter(|case| !found.contains(case)).collect();
    assert!(missing.is_empty(), "no fault for {missing:?}");
    assert_eq!(CASES.len(), found.len());
}
