//! The history checker finds what it is for: histories that were right, each made wrong in one way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::{
    Append, Conflict, EventStore, ExpectedVersion, Position, RecordedEvent, StreamId, Version,
    Violation,
};
use factum_memory::MemoryStore;
use factum_tests::history::{Anomaly, Answer, History, Kind, Plan, run};
use uuid::Uuid;

#[path = "support/good_history.rs"]
mod good_history;

use good_history::{
    AGAIN, CONDITIONAL, FIRST, KEYED, LAST, PAGE, REFUSED, REUSED, SECOND, exact, good, stream,
};

/// The fault that is found once `wrong` has been at a good history, which must be tellable.
async fn fault(wrong: impl FnOnce(&mut History)) -> Anomaly {
    let mut history = good().await;
    wrong(&mut history);
    let fault = history.check().unwrap_err();
    let told = history.describe(&fault);
    assert!(told.starts_with(&fault.to_string()), "{told}");
    assert!(told.lines().count() > fault.calls().len(), "{told}");
    fault
}

/// Rewrites log and subscribers as a store would have them that held only what `keep` says.
fn keep(history: &mut History, keep: impl Fn(&RecordedEvent) -> bool) {
    history.log.retain(keep);
    let mut versions = std::collections::HashMap::<StreamId, u64>::new();
    for (position, event) in (1..).zip(&mut history.log) {
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        (event.position, event.version) = (Position::new(position), Version::new(*version));
    }
    for subscriber in &mut history.subscribers {
        let matches = |event: &&RecordedEvent| subscriber.query.matches(event);
        subscriber.seen = history.log.iter().filter(matches).cloned().collect();
    }
}

fn asked(history: &mut History, call: usize) -> &mut Append {
    match &mut history.calls[call].kind {
        Kind::Append(append, _) => append,
        Kind::Read(..) => panic!("call {call} is a read"),
    }
}

fn told(history: &mut History, call: usize) -> &mut Answer {
    match &mut history.calls[call].kind {
        Kind::Append(_, answer) => answer,
        Kind::Read(..) => panic!("call {call} is a read"),
    }
}

fn at_version(expected: ExpectedVersion, actual: u64) -> Answer {
    let violation = Violation::Version {
        stream: stream("a-1"),
        expected,
        actual: Version::new(actual),
    };
    Answer::Conflict(Conflict {
        violations: vec![violation],
    })
}

#[tokio::test]
async fn a_history_that_was_right_passes() {
    let history = good().await;
    assert_eq!(history.check(), Ok(()));
    let tally = history.tally();
    assert_eq!((tally.stored, tally.conflicts, tally.reads), (5, 1, 1));
    assert_eq!((tally.repeated, tally.reused, tally.failed), (1, 1, 0));
}

#[tokio::test]
async fn a_lost_append_is_found() {
    let fault = fault(|history| keep(history, |event| event.position.get() < 8)).await;
    assert_eq!(fault, Anomaly::Lost { call: LAST });
}

#[tokio::test]
async fn half_an_append_is_found() {
    let fault = fault(|history| keep(history, |event| event.position.get() != 5)).await;
    assert_eq!(
        fault,
        Anomaly::Half {
            call: SECOND,
            position: 3
        }
    );
}

#[tokio::test]
async fn an_event_that_nobody_appended_is_found() {
    let fault = fault(|history| history.log[0].id = Uuid::now_v7()).await;
    assert_eq!(fault, Anomaly::Foreign { position: 1 });
}

#[tokio::test]
async fn a_gap_is_found() {
    let fault = fault(|history| drop(history.log.remove(3))).await;
    assert!(matches!(fault, Anomaly::Gap { expected: 4, .. }), "{fault}");
}

#[tokio::test]
async fn a_subscriber_that_missed_an_event_is_found() {
    let fault = fault(|history| drop(history.subscribers[0].seen.remove(6))).await;
    let (expected, saw) = (Some(7), Some(8));
    assert_eq!(
        fault,
        Anomaly::Subscriber {
            subscriber: 0,
            expected,
            saw
        }
    );
}

#[tokio::test]
async fn a_subscriber_that_saw_another_order_is_found() {
    let fault = fault(|history| history.subscribers[1].seen.swap(0, 1)).await;
    let (expected, saw) = (Some(1), Some(2));
    assert_eq!(
        fault,
        Anomaly::Subscriber {
            subscriber: 1,
            expected,
            saw
        }
    );
}

#[tokio::test]
async fn a_subscriber_that_saw_an_event_twice_is_found() {
    let fault = fault(|history| {
        let last = history.log.last().cloned();
        history.subscribers[1].seen.extend(last);
    })
    .await;
    let (expected, saw) = (None, Some(8));
    assert_eq!(
        fault,
        Anomaly::Subscriber {
            subscriber: 1,
            expected,
            saw
        }
    );
}

#[tokio::test]
async fn a_conflict_where_the_expectation_held_is_found() {
    // The stream was at 3 all the while.
    let fault = fault(|history| {
        asked(history, REFUSED).streams[0].expected = exact(3);
        *told(history, REFUSED) = at_version(exact(3), 2);
    })
    .await;
    let (right, known, by) = ((2, 2), 5, Some(SECOND));
    assert_eq!(
        fault,
        Anomaly::Order {
            call: REFUSED,
            right,
            known,
            by
        }
    );
}

#[tokio::test]
async fn a_conflict_that_contradicts_itself_is_found() {
    let fault = fault(|history| *told(history, REFUSED) = at_version(exact(2), 2)).await;
    assert_eq!(fault, Anomaly::NeverTrue { call: REFUSED });
}

#[tokio::test]
async fn a_conflict_with_a_version_that_never_was_is_found() {
    let fault = fault(|history| *told(history, REFUSED) = at_version(exact(2), 9)).await;
    assert_eq!(fault, Anomaly::NeverTrue { call: REFUSED });
}

#[tokio::test]
async fn two_winners_of_one_version_are_found() {
    let fault = fault(|history| asked(history, LAST).streams[0].expected = exact(2)).await;
    assert_eq!(
        fault,
        Anomaly::Swallowed {
            call: LAST,
            position: 8
        }
    );
}

#[tokio::test]
async fn a_violated_condition_that_was_swallowed_is_found() {
    let fault = fault(|history| {
        asked(history, CONDITIONAL)
            .condition
            .as_mut()
            .unwrap()
            .after = Position::new(4);
    })
    .await;
    assert_eq!(
        fault,
        Anomaly::Swallowed {
            call: CONDITIONAL,
            position: 7
        }
    );
}

#[tokio::test]
async fn a_conflict_that_was_answered_as_stored_is_found() {
    let fault = fault(|history| *told(history, REFUSED) = told(history, FIRST).clone()).await;
    assert_eq!(fault, Anomaly::Lost { call: REFUSED });
}

#[tokio::test]
async fn an_append_that_was_stored_and_rejected_is_found() {
    let fault = fault(|history| *told(history, LAST) = Answer::NotStored("no".to_owned())).await;
    assert_eq!(
        fault,
        Anomaly::Denied {
            call: LAST,
            position: 8
        }
    );
}

#[tokio::test]
async fn a_receipt_for_another_place_is_found() {
    let fault = fault(|history| *told(history, SECOND) = told(history, FIRST).clone()).await;
    assert!(
        matches!(fault, Anomaly::Receipt { call: SECOND, .. }),
        "{fault}"
    );
}

#[tokio::test]
async fn a_stale_page_is_found() {
    let fault = fault(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("a read")
        };
        page.events.truncate(2);
        page.head = Position::new(2);
    })
    .await;
    let (right, known, by) = ((2, 2), 5, Some(SECOND));
    assert_eq!(
        fault,
        Anomaly::Order {
            call: PAGE,
            right,
            known,
            by
        }
    );
}

#[tokio::test]
async fn a_page_that_misses_an_event_is_found() {
    let fault = fault(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("a read")
        };
        page.events.remove(1);
    })
    .await;
    let expected = vec![1, 2, 3];
    assert_eq!(
        fault,
        Anomaly::Page {
            call: PAGE,
            expected,
            more: false
        }
    );
}

#[tokio::test]
async fn a_reader_of_half_an_append_is_found() {
    let fault = fault(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("a read")
        };
        page.head = Position::new(4);
    })
    .await;
    assert_eq!(fault, Anomaly::HalfSeen { call: PAGE });
}

#[tokio::test]
async fn an_order_that_is_not_that_of_time_is_found() {
    // The last append began behind the end of the one at position 7, and now ended ahead of its beginning.
    let fault = fault(|history| {
        let early = history.calls[FIRST].began;
        (history.calls[LAST].began, history.calls[LAST].ended) = (early, early);
        for call in &mut history.calls[..LAST] {
            (call.began, call.ended) = (call.began + 2, call.ended + 2);
        }
    })
    .await;
    let (right, known, by) = ((0, 0), 8, Some(LAST));
    assert_eq!(
        fault,
        Anomaly::Order {
            call: FIRST,
            right,
            known,
            by
        }
    );
}

#[tokio::test]
async fn a_key_that_was_stored_twice_is_found() {
    let fault = fault(|history| {
        let key = asked(history, KEYED).key.clone();
        asked(history, LAST).key = key;
    })
    .await;
    assert_eq!(
        fault,
        Anomaly::KeyTwice {
            call: LAST,
            first: KEYED
        }
    );
}

#[tokio::test]
async fn a_known_key_that_was_judged_anew_is_found() {
    // As if the expectation had been judged first.
    let fault = fault(|history| *told(history, AGAIN) = at_version(exact(1), 4)).await;
    assert_eq!(fault, Anomaly::NeverTrue { call: AGAIN });
}

#[tokio::test]
async fn a_key_that_was_taken_for_another_content_is_found() {
    let fault = fault(|history| {
        let key = asked(history, KEYED).key.clone();
        asked(history, REUSED).key = key;
    })
    .await;
    assert_eq!(fault, Anomaly::NeverTrue { call: REUSED });
}

#[tokio::test]
async fn an_append_without_an_answer_may_have_happened_or_not() {
    let mut history = good().await;
    *told(&mut history, LAST) = Answer::Unknown("gone".to_owned());
    assert_eq!(history.check(), Ok(()));
    keep(&mut history, |event| event.position.get() < 8);
    assert_eq!(history.check(), Ok(()));
}

#[tokio::test]
async fn whatever_event_a_run_loses_is_missed() {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let plan = Plan {
        seed: 1,
        clients: 4,
        turns: 30,
    };
    let history = run(plan, &[store]).await.unwrap();
    history.check().unwrap();
    for lost in 1..=history.log.len() as u64 {
        let mut history = history.clone();
        keep(&mut history, |event| event.position.get() != lost);
        assert!(history.check().is_err(), "the event at position {lost}");
    }
}
