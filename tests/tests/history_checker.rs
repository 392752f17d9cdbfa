//! The history checker detects each way in which a linearizable history can be falsified.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::store::{Append, Conflict, EventStore, ExpectedVersion, RecordedEvent, Violation};
use factum::{Position, StreamId, Version};
use factum_memory::MemoryStore;
use factum_tests::history::{Anomaly, History, Kind, Plan, Response, run};
use uuid::Uuid;

#[path = "support/good_history.rs"]
mod good_history;

use good_history::{
    CONDITIONAL, CONFLICTING, FIRST, KEYED, LAST, PAGE, REPEATED, REUSED, SECOND, exact, good,
    stream,
};

/// Returns the anomaly of a good history after `falsify` has changed it, and checks its description.
async fn anomaly(falsify: impl FnOnce(&mut History)) -> Anomaly {
    let mut history = good().await;
    falsify(&mut history);
    let anomaly = history.check().unwrap_err();
    let text = history.describe(&anomaly);
    assert!(text.starts_with(&anomaly.to_string()), "{text}");
    assert!(text.lines().count() > anomaly.calls().len(), "{text}");
    anomaly
}

/// Removes all events except those of `keep` from the history, and renumbers the rest.
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

fn append(history: &mut History, call: usize) -> &mut Append {
    match &mut history.calls[call].kind {
        Kind::Append(append, _) => append,
        Kind::Read(..) => panic!("call {call} is a read"),
    }
}

fn response(history: &mut History, call: usize) -> &mut Response {
    match &mut history.calls[call].kind {
        Kind::Append(_, response) => response,
        Kind::Read(..) => panic!("call {call} is a read"),
    }
}

fn at_version(expected: ExpectedVersion, actual: u64) -> Response {
    let violation = Violation::Version {
        stream: stream("a-1"),
        expected,
        actual: Version::new(actual),
    };
    Response::Conflict(Conflict {
        violations: vec![violation],
    })
}

#[tokio::test]
async fn valid_history_passes() {
    let history = good().await;
    assert_eq!(history.check(), Ok(()));
    let tally = history.tally();
    assert_eq!((tally.stored, tally.conflicts, tally.reads), (5, 1, 1));
    assert_eq!((tally.repeated, tally.reused, tally.failed), (1, 1, 0));
}

#[tokio::test]
async fn lost_append_is_detected() {
    let anomaly = anomaly(|history| keep(history, |event| event.position.get() < 8)).await;
    assert_eq!(anomaly, Anomaly::LostAppend { call: LAST });
}

#[tokio::test]
async fn partial_append_is_detected() {
    let anomaly = anomaly(|history| keep(history, |event| event.position.get() != 5)).await;
    assert_eq!(
        anomaly,
        Anomaly::PartialAppend {
            call: SECOND,
            position: 3
        }
    );
}

#[tokio::test]
async fn unknown_event_is_detected() {
    let anomaly = anomaly(|history| history.log[0].id = Uuid::now_v7()).await;
    assert_eq!(anomaly, Anomaly::UnknownEvent { position: 1 });
}

#[tokio::test]
async fn position_gap_is_detected() {
    let anomaly = anomaly(|history| drop(history.log.remove(3))).await;
    assert!(
        matches!(anomaly, Anomaly::Gap { expected: 4, .. }),
        "{anomaly}"
    );
}

#[tokio::test]
async fn missed_event_of_subscriber_is_detected() {
    let anomaly = anomaly(|history| drop(history.subscribers[0].seen.remove(6))).await;
    let (expected, actual) = (Some(7), Some(8));
    assert_eq!(
        anomaly,
        Anomaly::WrongSubscription {
            subscriber: 0,
            expected,
            actual
        }
    );
}

#[tokio::test]
async fn wrong_order_of_subscriber_is_detected() {
    let anomaly = anomaly(|history| history.subscribers[1].seen.swap(0, 1)).await;
    let (expected, actual) = (Some(1), Some(2));
    assert_eq!(
        anomaly,
        Anomaly::WrongSubscription {
            subscriber: 1,
            expected,
            actual
        }
    );
}

#[tokio::test]
async fn repeated_event_of_subscriber_is_detected() {
    let anomaly = anomaly(|history| {
        let last = history.log.last().cloned();
        history.subscribers[1].seen.extend(last);
    })
    .await;
    let (expected, actual) = (None, Some(8));
    assert_eq!(
        anomaly,
        Anomaly::WrongSubscription {
            subscriber: 1,
            expected,
            actual
        }
    );
}

#[tokio::test]
async fn false_conflict_is_detected() {
    // The stream was at version 3 during the whole call.
    let anomaly = anomaly(|history| {
        append(history, CONFLICTING).streams[0].expected = exact(3);
        *response(history, CONFLICTING) = at_version(exact(3), 2);
    })
    .await;
    let (valid, observed, observed_by) = ((2, 2), 5, Some(SECOND));
    assert_eq!(
        anomaly,
        Anomaly::NotLinearizable {
            call: CONFLICTING,
            valid,
            observed,
            observed_by
        }
    );
}

#[tokio::test]
async fn contradictory_conflict_is_detected() {
    let anomaly =
        anomaly(|history| *response(history, CONFLICTING) = at_version(exact(2), 2)).await;
    assert_eq!(anomaly, Anomaly::ImpossibleResponse { call: CONFLICTING });
}

#[tokio::test]
async fn conflict_with_impossible_version_is_detected() {
    let anomaly =
        anomaly(|history| *response(history, CONFLICTING) = at_version(exact(2), 9)).await;
    assert_eq!(anomaly, Anomaly::ImpossibleResponse { call: CONFLICTING });
}

#[tokio::test]
async fn second_append_at_same_version_is_detected() {
    let anomaly = anomaly(|history| append(history, LAST).streams[0].expected = exact(2)).await;
    assert_eq!(
        anomaly,
        Anomaly::StoredDespiteConflict {
            call: LAST,
            position: 8
        }
    );
}

#[tokio::test]
async fn swallowed_append_condition_is_detected() {
    let anomaly = anomaly(|history| {
        append(history, CONDITIONAL)
            .condition
            .as_mut()
            .unwrap()
            .after = Position::new(4);
    })
    .await;
    assert_eq!(
        anomaly,
        Anomaly::StoredDespiteConflict {
            call: CONDITIONAL,
            position: 7
        }
    );
}

#[tokio::test]
async fn conflict_reported_as_stored_is_detected() {
    let anomaly =
        anomaly(|history| *response(history, CONFLICTING) = response(history, FIRST).clone()).await;
    assert_eq!(anomaly, Anomaly::LostAppend { call: CONFLICTING });
}

#[tokio::test]
async fn stored_append_reported_as_failed_is_detected() {
    let anomaly =
        anomaly(|history| *response(history, LAST) = Response::NotStored("no".to_owned())).await;
    assert_eq!(
        anomaly,
        Anomaly::StoredDespiteError {
            call: LAST,
            position: 8
        }
    );
}

#[tokio::test]
async fn wrong_receipt_is_detected() {
    let anomaly =
        anomaly(|history| *response(history, SECOND) = response(history, FIRST).clone()).await;
    assert!(
        matches!(anomaly, Anomaly::WrongReceipt { call: SECOND, .. }),
        "{anomaly}"
    );
}

#[tokio::test]
async fn stale_page_is_detected() {
    let anomaly = anomaly(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("expected a read")
        };
        page.events.truncate(2);
        page.head = Position::new(2);
    })
    .await;
    let (valid, observed, observed_by) = ((2, 2), 5, Some(SECOND));
    assert_eq!(
        anomaly,
        Anomaly::NotLinearizable {
            call: PAGE,
            valid,
            observed,
            observed_by
        }
    );
}

#[tokio::test]
async fn page_with_missing_event_is_detected() {
    let anomaly = anomaly(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("expected a read")
        };
        page.events.remove(1);
    })
    .await;
    let expected = vec![1, 2, 3];
    assert_eq!(
        anomaly,
        Anomaly::WrongPage {
            call: PAGE,
            expected,
            more: false
        }
    );
}

#[tokio::test]
async fn read_of_partial_append_is_detected() {
    let anomaly = anomaly(|history| {
        let Kind::Read(_, page) = &mut history.calls[PAGE].kind else {
            panic!("expected a read")
        };
        page.head = Position::new(4);
    })
    .await;
    assert_eq!(anomaly, Anomaly::PartialRead { call: PAGE });
}

#[tokio::test]
async fn order_against_real_time_is_detected() {
    // Moves the last append, which started after the one at position 7 had ended, before all other calls.
    let anomaly = anomaly(|history| {
        let start = history.calls[FIRST].started;
        (history.calls[LAST].started, history.calls[LAST].ended) = (start, start);
        for call in &mut history.calls[..LAST] {
            (call.started, call.ended) = (call.started + 2, call.ended + 2);
        }
    })
    .await;
    let (valid, observed, observed_by) = ((0, 0), 8, Some(LAST));
    assert_eq!(
        anomaly,
        Anomaly::NotLinearizable {
            call: FIRST,
            valid,
            observed,
            observed_by
        }
    );
}

#[tokio::test]
async fn key_stored_twice_is_detected() {
    let anomaly = anomaly(|history| {
        let key = append(history, KEYED).key.clone();
        append(history, LAST).key = key;
    })
    .await;
    assert_eq!(
        anomaly,
        Anomaly::DuplicateKey {
            call: LAST,
            first: KEYED
        }
    );
}

#[tokio::test]
async fn conflict_for_known_key_is_detected() {
    // As if the store had checked the expected version before the key.
    let anomaly = anomaly(|history| *response(history, REPEATED) = at_version(exact(1), 4)).await;
    assert_eq!(anomaly, Anomaly::ImpossibleResponse { call: REPEATED });
}

#[tokio::test]
async fn false_key_reuse_is_detected() {
    let anomaly = anomaly(|history| {
        let key = append(history, KEYED).key.clone();
        append(history, REUSED).key = key;
    })
    .await;
    assert_eq!(anomaly, Anomaly::ImpossibleResponse { call: REUSED });
}

#[tokio::test]
async fn append_with_unknown_response_may_be_stored_or_not() {
    let mut history = good().await;
    *response(&mut history, LAST) = Response::Unknown("gone".to_owned());
    assert_eq!(history.check(), Ok(()));
    keep(&mut history, |event| event.position.get() < 8);
    assert_eq!(history.check(), Ok(()));
}

#[tokio::test]
async fn any_lost_event_is_detected() {
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
        assert!(history.check().is_err(), "lost event at position {lost}");
    }
}
