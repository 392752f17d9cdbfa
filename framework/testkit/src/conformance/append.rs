//! Cases about appends: atomicity, expected versions and conflicts.

use super::harness::{
    Backend, all_events, append, conflict, events, numbers, put, stream, tag, tagged,
};
use factum_core::append::{Append, AppendCondition, ExpectedVersion, Violation};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::store::EventStore as _;

/// An append to several streams stores all events or none.
pub async fn multi_stream_append_is_atomic<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
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
    assert_eq!(numbers(&all_events(&store, 100).await), [1, 2]);

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
    assert!(!appended.repeated, "a new append is reported as repeated");
    let stored = all_events(&store, 100).await;
    assert_eq!(numbers(&stored), [1, 2, 10, 11, 20, 30, 31, 32]);
    let versions: Vec<u64> = stored.iter().map(|event| event.version.get()).collect();
    assert_eq!(versions, [1, 2, 1, 2, 3, 1, 2, 3]);
}

/// A conflict lists every violated version and condition, in the order of the request.
pub async fn conflict_lists_every_violation_in_order<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(&store, "contract-c", events(1..=3)).await;
    let head = put(&store, "contract-b", vec![tagged(4, &["seat:1"])])
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
    .condition(query.clone(), Position::new(head.get() - 1));
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
                after: Position::new(head.get() - 1),
            },
            found: head,
        },
    ];
    assert_eq!(conflict.violations, expected);
}

/// Each kind of expected version is checked against a missing stream and a stream of two events.
pub async fn expected_version_is_checked_per_stream<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
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
    for (index, (expected, [missing, two_events])) in expectations.into_iter().enumerate() {
        let (new, old) = (
            format!("contract-new{index}"),
            format!("contract-old{index}"),
        );
        put(&store, &old, events(1..=2)).await;
        for (id, succeeds) in [(new, missing), (old, two_events)] {
            let append = Append::stream(stream(&id), expected, events(9..=9));
            let result = store.append(append).await;
            let rule = if succeeds {
                "must succeed"
            } else {
                "must fail"
            };
            assert_eq!(
                result.is_ok(),
                succeeds,
                "an append to {id} with {expected:?} {rule}, but returned {result:?}"
            );
        }
    }
}

/// An append without events checks its expected versions and stores nothing.
pub async fn append_without_events_only_checks_versions<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let empty = append(&store, Append::default()).await;
    assert_eq!((empty.position, empty.count), (Position::ZERO, 0));
    put(&store, "contract-a", events(1..=2)).await;
    let check = |expected| Append::stream(stream("contract-a"), expected, Vec::new());
    let checked = append(&store, check(ExpectedVersion::Exact(Version::new(2)))).await;
    assert_eq!((checked.position, checked.count), (Position::new(2), 0));
    assert_eq!(checked.versions, []);
    conflict(&store, check(ExpectedVersion::NoStream)).await;
    assert_eq!(all_events(&store, 10).await.len(), 2);
    // An append without events must not create its stream.
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

/// A stream without events in an append is only checked, while another stream gets events.
pub async fn stream_without_events_only_checks_its_version<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(&store, "contract-watched", events(1..=2)).await;
    let request = |expected| {
        Append::stream(stream("contract-watched"), expected, Vec::new()).and_stream(
            stream("contract-a"),
            ExpectedVersion::Any,
            events(3..=3),
        )
    };
    let wrong = ExpectedVersion::Exact(Version::new(1));
    let violation = Violation::Version {
        stream: stream("contract-watched"),
        expected: wrong,
        actual: Version::new(2),
    };
    assert_eq!(
        conflict(&store, request(wrong)).await.violations,
        [violation]
    );
    assert_eq!(numbers(&all_events(&store, 10).await), [1, 2]);
    let appended = append(&store, request(ExpectedVersion::Exact(Version::new(2)))).await;
    assert_eq!((appended.position, appended.count), (Position::new(3), 1));
    assert_eq!(appended.versions, [(stream("contract-a"), Version::new(1))]);
    let unchanged = ExpectedVersion::Exact(Version::new(2));
    append(
        &store,
        Append::stream(stream("contract-watched"), unchanged, events(4..=4)),
    )
    .await;
}
