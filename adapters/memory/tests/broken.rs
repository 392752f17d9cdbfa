//! The conformance suite can fail: for every case there is a store, broken in one way, that it finds.

#[path = "support/broken_store.rs"]
mod broken_store;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use broken_store::{Fault, Place};
use factum_testkit::{conformance, conformance_race, conformance_read};

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
    conformance_durable: what_is_stored_comes_back_byte_for_byte, ChangesData;
    conformance_durable: everything_outlives_its_handles, ForgetsKeysOnClose;
    conformance_append: an_append_over_several_streams_is_all_or_nothing, SwallowsConflicts;
    conformance_append: every_violation_is_reported_in_order, SortsStreams;
    conformance_append: an_expectation_is_judged_against_its_stream, IgnoresExpectations;
    conformance_append: an_append_without_events_only_checks, IgnoresExpectations;
    conformance_append: a_stream_without_events_only_checks, ChecksOnlyWhatItWrites;
    conformance_bounds: what_no_store_takes_is_rejected, TakesTheInvalid;
    conformance_bounds: what_is_at_the_bounds_is_taken, RefusesTheLargest;
    conformance_bounds: names_that_look_alike_are_different, KeysIgnoreCase;
    conformance_bounds: a_large_append_is_one_append, LosesTheTail;
    conformance_bounds: an_append_may_have_many_streams, CutsReadsOfStreams;
    conformance_condition: a_condition_rejects_what_has_arrived_behind_it, IgnoresConditions;
    conformance_condition: a_condition_rejects_a_neighbour_of_the_same_moment, IgnoresConditions;
    conformance_keys: a_key_gives_the_first_answer_again, ForgetsKeys;
    conformance_keys: a_key_used_for_other_content_is_an_error, ReusesKeys;
    conformance_keys: many_appends_with_one_key_store_once, ForgetsKeys;
    conformance_keys: of_many_contents_for_one_key_one_is_taken, ReusesKeys;
    conformance_keys: a_rejected_append_leaves_its_key_free, KeysOutliveConflicts;
    conformance_keys: a_key_holds_for_an_append_without_events, KeysNeedEvents;
    conformance_race: of_many_that_expect_one_version_exactly_one_wins, IgnoresExpectations;
    conformance_race: of_many_that_expect_no_stream_exactly_one_wins, ChecksExistenceAhead;
    conformance_race: appends_to_disjoint_streams_never_conflict, RefusesSomeNeighbours;
    conformance_race: a_conflict_rejects_one_append_and_not_its_neighbours, RefusesSomeNeighbours;
    conformance_neighbours: each_answer_tells_of_its_own_append, AnswersLate;
    conformance_neighbours: two_that_check_what_the_other_writes_do_not_both_win, ChecksOnlyWhatItWrites;
    conformance_neighbours: a_dropped_append_can_be_asked_again, StoresHalf;
    conformance_race: readers_never_see_half_an_append, StoresHalf;
    conformance_race: a_subscriber_sees_every_event_once_and_in_order, SkipsAnEvent;
    conformance_race: a_commit_through_one_handle_is_seen_by_the_other_at_once, ReadsStale;
    conformance_read: pages_go_forward_and_backward, CountsFromTheCursor;
    conformance_read: a_page_says_whether_there_is_more, SaysThereIsNoMore;
    conformance_read: a_query_may_have_many_tags_and_names, CutsQueries;
    conformance_read: a_prefix_is_meant_literally, PrefixesArePatterns;
    conformance_read: pages_of_large_events_lose_nothing, CutsLargePages;
    conformance_read: a_subscriber_is_given_what_no_codec_reads, DropsUndecodableRows;
    conformance_model: a_read_finds_what_matches_and_nothing_else, TagsAreOptional;
    conformance_model: a_condition_is_judged_as_a_read_would, ConditionsIgnoreTags;
    conformance_snapshot: the_newest_snapshot_comes_back, KeepsOldSnapshots;
    conformance_snapshot: of_snapshots_saved_together_the_newest_stays, KeepsTheLastSnapshot;
    conformance_snapshot: state_from_a_snapshot_equals_a_replay, MovesSnapshots;
    conformance_snapshot: a_snapshot_that_does_not_fit_is_ignored, SnapshotsLoseTheirForm;
    conformance_documents: documents_outlive_their_handles, ForgetsDocumentsOnClose;
    conformance_documents: documents_are_scanned_in_the_order_of_their_keys, ScansIgnoreWhatIsBehind;
    conformance_documents: changes_are_made_together_or_not_at_all, ChangesOneByOne;
    conformance_documents: a_revision_is_never_given_twice, RevisionsStandStill;
    conformance_documents: of_many_that_change_one_document_exactly_one_does, ChangesBlindly;
    conformance_documents: documents_out_of_bounds_are_rejected, TakesTheInvalid;
    conformance_together: documents_change_with_the_events_or_not_at_all, ChangesDespiteConflicts;
    conformance_together: a_repeated_append_changes_no_document_again, ChangesAgain;
    conformance_together: of_many_appends_that_change_one_document_exactly_one_is_stored, ChangesBlindly;
    conformance_together: readers_never_see_events_without_their_documents, ChangesBehindTheEvents;
    conformance_projection: a_projection_has_each_effect_once_under_faults, ChangesLoseTheLast;
    conformance_projection: a_poison_event_parks_its_stream_alone, KeepsWhatIsDeleted;
    conformance_projection: what_a_paused_owner_writes_is_rejected, ChangesBlindly;
    conformance_projection: a_read_model_elsewhere_gets_every_event_under_faults, SkipsAnEvent;
    conformance_engine: engines_on_two_handles_lose_no_update, IgnoresExpectations;
    conformance_engine: a_key_counts_once_over_two_engines, ForgetsKeys;
    conformance_engine: a_tag_query_holds_its_limit_over_two_handles, IgnoresConditions;
    conformance_retry: commands_with_keys_happen_once_under_faults, ForgetsKeys;
    conformance_retry: commands_without_keys_happen_at_most_once_under_faults, TakesCommitsForFailures;
    conformance_retry: an_answer_under_faults_tells_what_happened, TakesCommitsForFailures;
    conformance_retry: a_tag_query_holds_its_limit_under_faults, IgnoresConditions;
    conformance_faults: readers_see_every_event_once_under_faults, SkipsAnEvent;
    conformance_faults: state_from_a_snapshot_equals_a_replay_under_faults, SnapshotsLagBehindTheirState;
    conformance_faults: an_append_over_several_streams_is_whole_under_faults, StoresHalf;
    conformance_process: commands_of_a_process_happen_once_under_faults, ForgetsKeys;
    conformance_process: a_deadline_passes_once_over_two_runners_under_faults, ForgetsKeys;
    conformance_process: a_schedule_occurs_once_over_two_runners_under_faults, ForgetsKeys;
    conformance_process: a_handler_is_given_every_event_under_faults, SkipsAnEvent;
    conformance_process_work: what_cannot_be_done_waits_in_order_and_holds_up_no_other, ChangesLoseTheLast;
    conformance_process_work: a_deadline_of_a_process_moves_and_is_cancelled_under_faults, ScansComeAsStored;
    conformance_process_begin: a_handler_begins_where_it_was_first_started, ChangesBlindly;
    conformance_process_begin: what_is_taken_out_of_the_code_is_listed_and_holds_up_nothing, ChangesLoseTheLast;
    conformance_process_commands: commands_of_an_older_form_are_brought_up, ChangesLoseTheLast;
    conformance_process_commands: commands_of_a_newer_form_are_left_to_newer_code, ChangesLoseTheLast;
    conformance_process_forms: a_state_of_an_older_form_is_brought_up, NumbersLoseDigits;
    conformance_deadline: deadlines_are_set_with_their_events_or_not_at_all, ChangesDespiteConflicts;
    conformance_deadline: deadlines_fire_once_in_due_order_over_two_runners_under_faults, ForgetsKeysAndRevisions;
    conformance_deadline: a_deadline_that_was_cancelled_or_moved_never_fires_at_its_old_time, ChangesBlindly;
    conformance_deadline: deadlines_outlive_the_program_and_fire_late_rather_than_never, ForgetsDocumentsOnClose;
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
        conformance_race: a_subscriber_sees_every_event_once_and_in_order, LowerPositionsCommitLater;
    a_lower_position_that_commits_later_is_skipped_under_faults:
        conformance_faults: readers_see_every_event_once_under_faults, LowerPositionsCommitLater;
    a_slow_writer_makes_unrelated_streams_conflict:
        conformance_race: appends_to_disjoint_streams_never_conflict, SlowWritersRefuseOthers;
    a_conflict_is_reported_as_success:
        conformance_race: a_conflict_rejects_one_append_and_not_its_neighbours, SwallowsConflicts;
    a_conflict_is_reported_as_success_and_an_update_is_lost:
        conformance_engine: engines_on_two_handles_lose_no_update, SwallowsConflicts;
    rows_that_cannot_be_decoded_are_dropped:
        conformance_durable: what_is_stored_comes_back_byte_for_byte, DropsUndecodableRows;
    the_newest_events_are_applied_to_a_snapshot_twice:
        conformance_snapshot: state_from_a_snapshot_equals_a_replay, SnapshotsLagBehindTheirState;
    a_restart_forgets_the_keys:
        conformance_durable: everything_outlives_its_handles, ForgetsKeysOnClose;
    whether_a_stream_exists_is_checked_outside_of_the_transaction:
        conformance_race: of_many_that_expect_no_stream_exactly_one_wins, ChecksExistenceAhead;
    ids_are_cut:
        conformance_bounds: what_is_at_the_bounds_is_taken, CutsIds;
    the_version_behind_the_last_is_negative:
        conformance_append: an_expectation_is_judged_against_its_stream, VersionsWrap;
    the_place_behind_the_last_is_the_first:
        conformance_model: a_read_finds_what_matches_and_nothing_else, CursorsWrap;
}

/// What a case says when it comes to no end.
fn hang<F: Future<Output = ()>>(name: &str, case: impl FnOnce() -> F + Send + 'static) -> String {
    failure(|| conformance::run_within(Duration::from_secs(1), name, case))
}

#[test]
fn a_watch_that_sleeps_through_the_other_handle_is_found() {
    type Deaf = Place<{ Fault::HearsOnlyItself as usize }>;
    let case = conformance_race::a_watcher_wakes_for_whoever_commits::<Deaf>;
    let said = hang("a_watcher_wakes_for_whoever_commits", case);
    assert_eq!(
        said,
        "a_watcher_wakes_for_whoever_commits hangs: no end after 1s"
    );
}

#[test]
fn a_store_that_blocks_its_thread_is_found() {
    type Blocking = Place<{ Fault::Blocks as usize }>;
    let case = conformance_read::pages_go_forward_and_backward::<Blocking>;
    let said = hang("pages_go_forward_and_backward", case);
    assert_eq!(said, "pages_go_forward_and_backward hangs: no end after 1s");
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
    found.push("a_watcher_wakes_for_whoever_commits");
    let missing: Vec<_> = CASES.iter().filter(|case| !found.contains(case)).collect();
    assert!(
        missing.is_empty(),
        "nothing shows that {missing:?} can fail"
    );
    assert_eq!(CASES.len(), found.len());
}
