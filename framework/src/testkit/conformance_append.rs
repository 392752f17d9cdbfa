//! Appends: all or nothing, each expectation judged.

use super::conformance::{
    Backend, append, conflict, events, everything, numbers, put, stream, tag, tagged,
};
use crate::append::{Append, AppendCondition, ExpectedVersion, Violation};
use crate::position::{Position, Version};
use crate::query::Query;
use crate::store::EventStore as _;

/// An append over several streams is all or nothing.
pub async fn multi_stream_append_is_atomic<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-b", events(1..=2)).await;
    let over_three = |expected| {
        Append::stream(
            stream("contract-c"),
            ExpectedVersion::NoStream,
            events(10..=11),
        )
        .and_stream(stream("contract-b"), expected, events(20..=20))
        .and_stream(stream("contract-a"), ExpectedVersion::Any, events(30..=32))
    };
    conflict(&store, over_three(ExpectedVersion::NoStream)).await;
    assert_eq!(numbers(&everything(&store, 100).await), [1, 2]);

    let appended = append(&store, over_three(ExpectedVersion::Exact(Version::new(2)))).await;
    assert_eq!(appended.count, 6);
    assert_eq!(appended.position, Position::new(8));
    let versions: Vec<(&str, u64)> = appended
        .versions
        .iter()
        .map(|(stream, version)| (stream.as_str(), version.get()))
        .collect();
    assert_eq!(
        versions,
        [("contract-c", 2), ("contract-b", 3), ("contract-a", 3)]
    );
    assert!(!appended.repeated);
    let stored = everything(&store, 100).await;
    assert_eq!(numbers(&stored), [1, 2, 10, 11, 20, 30, 31, 32]);
    let places: Vec<u64> = stored.iter().map(|event| event.version.get()).collect();
    assert_eq!(places, [1, 2, 1, 2, 3, 1, 2, 3]);
}

/// Every violation is reported in order.
pub async fn conflict_lists_every_violation_in_order<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-c", events(1..=3)).await;
    let known = put(&store, "contract-b", vec![tagged(4, &["seat:1"])])
        .await
        .position;
    let query = Query::any_tag([tag("seat:1")]);
    let rejected = Append::stream(
        stream("contract-c"),
        ExpectedVersion::Exact(Version::new(2)),
        events(5..=5),
    )
    .and_stream(
        stream("contract-b"),
        ExpectedVersion::Exact(Version::new(1)),
        events(6..=6),
    )
    .and_stream(
        stream("contract-a"),
        ExpectedVersion::StreamExists,
        events(7..=7),
    )
    .unless(query.clone(), Position::new(known.get() - 1));
    let conflict = conflict(&store, rejected).await;
    let expected = [
        Violation::Version {
            stream: stream("contract-c"),
            expected: ExpectedVersion::Exact(Version::new(2)),
            actual: Version::new(3),
        },
        Violation::Version {
            stream: stream("contract-a"),
            expected: ExpectedVersion::StreamExists,
            actual: Version::ZERO,
        },
        Violation::Condition {
            condition: AppendCondition {
                query,
                after: Position::new(known.get() - 1),
            },
            found: known,
        },
    ];
    assert_eq!(conflict.violations, expected);
}

/// An expectation is judged against its stream.
pub async fn expected_version_is_checked_per_stream<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let expectations = [
        (ExpectedVersion::Any, [true, true]),
        (ExpectedVersion::NoStream, [true, false]),
        (ExpectedVersion::StreamExists, [false, true]),
        (ExpectedVersion::Exact(Version::ZERO), [true, false]),
        (ExpectedVersion::Exact(Version::new(1)), [false, false]),
        (ExpectedVersion::Exact(Version::new(2)), [false, true]),
        (ExpectedVersion::Exact(Version::new(3)), [false, false]),
        (ExpectedVersion::Exact(Version::MAX), [false, false]),
    ];
    for (index, (expected, [absent, of_two])) in expectations.into_iter().enumerate() {
        let (new, old) = (
            format!("contract-new{index}"),
            format!("contract-old{index}"),
        );
        put(&store, &old, events(1..=2)).await;
        for (id, taken) in [(new, absent), (old, of_two)] {
            let append = Append::stream(stream(&id), expected, events(9..=9));
            let result = store.append(append).await;
            assert_eq!(result.is_ok(), taken, "{expected:?} on {id}: {result:?}");
        }
    }
}

/// An append without events only checks.
pub async fn append_without_events_only_checks_versions<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let empty = append(&store, Append::default()).await;
    assert_eq!((empty.position, empty.count), (Position::ZERO, 0));
    put(&store, "contract-a", events(1..=2)).await;
    let check = |expected| Append::stream(stream("contract-a"), expected, Vec::new());
    let checked = append(&store, check(ExpectedVersion::Exact(Version::new(2)))).await;
    assert_eq!((checked.position, checked.count), (Position::new(2), 0));
    assert_eq!(checked.versions, []);
    conflict(&store, check(ExpectedVersion::NoStream)).await;
    assert_eq!(everything(&store, 10).await.len(), 2);
    // Checked and not written: the stream of an append without events does not come into being.
    append(
        &store,
        Append::stream(stream("contract-b"), ExpectedVersion::NoStream, Vec::new()),
    )
    .await;
    append(
        &store,
        Append::stream(
            stream("contract-b"),
            ExpectedVersion::NoStream,
            events(3..=3),
        ),
    )
    .await;
}

/// A stream without events only checks, beside one that gets events.
pub async fn stream_without_events_only_checks_its_version<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-watched", events(1..=2)).await;
    let request = |expected| {
        Append::stream(stream("contract-watched"), expected, Vec::new()).and_stream(
            stream("contract-a"),
            ExpectedVersion::Any,
            events(3..=3),
        )
    };
    let wrong = ExpectedVersion::Exact(Version::new(1));
    let lost = Violation::Version {
        stream: stream("contract-watched"),
        expected: wrong,
        actual: Version::new(2),
    };
    assert_eq!(conflict(&store, request(wrong)).await.violations, [lost]);
    assert_eq!(numbers(&everything(&store, 10).await), [1, 2]);
    let taken = append(&store, request(ExpectedVersion::Exact(Version::new(2)))).await;
    assert_eq!((taken.position, taken.count), (Position::new(3), 1));
    assert_eq!(taken.versions, [(stream("contract-a"), Version::new(1))]);
    let unchanged = ExpectedVersion::Exact(Version::new(2));
    append(
        &store,
        Append::stream(stream("contract-watched"), unchanged, events(4..=4)),
    )
    .await;
}
