//! Cases about appends: atomicity, expected versions and conflicts.

use super::harness::{
    Backend, all_events, append, conflict, event, events, join_all, numbers, page, put, stream,
    tag, tagged,
};
use factum_core::append::{
    Append, AppendCondition, AppendError, Appended, ExpectedVersion, IdempotencyKey, Violation,
};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_core::stream_id::StreamId;
use factum_engine::record::RecordedEvent;

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

/// Returns an append without events to the streams `ids`.
fn to(ids: &[(&str, ExpectedVersion)]) -> Append {
    let streams = ids.iter();
    streams.fold(Append::default(), |append, (id, expected)| {
        append.and_stream(stream(id), *expected, Vec::new())
    })
}

/// Adds the events `(stream, number)` to `append`, in this order.
fn mixed(append: Append, events: &[(usize, u64)]) -> Append {
    let events = events.iter();
    events.fold(append, |append, (stream, number)| {
        append.and_event(*stream, event(*number))
    })
}

fn versions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version.get()).collect()
}

/// Asserts that `appended` is the result of an append of `count` events up to `position`.
fn assert_result(appended: &Appended, (position, count): (u64, u64), versions: &[(&str, u64)]) {
    assert_eq!(
        (appended.position.get(), appended.count),
        (position, count),
        "the position and the number of events of a mixed append"
    );
    let versions = versions.iter();
    let versions = versions.map(|(id, version)| (stream(id), Version::new(*version)));
    assert_eq!(
        appended.versions,
        versions.collect::<Vec<(StreamId, Version)>>(),
        "the versions must be in the order of the first events"
    );
}

/// Events of several streams may be mixed in one append, and their positions keep that order.
pub async fn mixed_append_keeps_the_order_of_its_events<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    put(&handles[0], "contract-b", events(1..=2)).await;
    let exact = |version| ExpectedVersion::Exact(Version::new(version));
    let first = |b: u64| {
        let streams = [
            ("contract-b", exact(b)),
            ("contract-unchanged", ExpectedVersion::NoStream),
            ("contract-a", ExpectedVersion::Any),
            ("contract-c", ExpectedVersion::NoStream),
        ];
        // The first event is not the one of the first stream.
        let events = [(3, 3), (0, 4), (3, 5), (2, 6), (0, 7), (0, 8), (3, 9)];
        let key = IdempotencyKey::new("req-1", b"content");
        mixed(to(&streams), &events).idempotency_key(key)
    };
    conflict(&handles[0], first(1)).await;
    assert_eq!(numbers(&all_events(&handles[0], 100).await), [1, 2]);
    let stored = append(&handles[0], first(2)).await;
    let new_versions = [("contract-c", 3), ("contract-b", 5), ("contract-a", 1)];
    assert_result(&stored, (9, 7), &new_versions);
    for store in &handles {
        let repeated = append(store, first(2)).await;
        assert!(repeated.repeated, "the idempotency key is not known");
        assert_result(&repeated, (9, 7), &new_versions);
        assert_eq!(repeated.recorded_at, stored.recorded_at);
    }
    // A handle that knows the versions, and one that must load them.
    for (store, (number, a, c)) in handles.iter().zip([(10, 1, 3), (14, 3, 5)]) {
        let streams = [("contract-a", exact(a)), ("contract-c", exact(c))];
        let events = [(1, 0), (0, 1), (1, 2), (0, 3)].map(|(stream, add)| (stream, number + add));
        let appended = append(store, mixed(to(&streams), &events)).await;
        let new_versions = [("contract-c", c + 2), ("contract-a", a + 2)];
        assert_result(&appended, (number + 3, 4), &new_versions);
    }
    for store in &handles {
        let stored = all_events(store, 5).await;
        assert_eq!(numbers(&stored), (1..=17).collect::<Vec<_>>());
        assert_eq!(
            versions(&stored),
            [1, 2, 1, 3, 2, 1, 4, 5, 3, 4, 2, 5, 3, 6, 4, 7, 5]
        );
        for (id, expected) in [
            ("contract-a", vec![6, 11, 13, 15, 17]),
            ("contract-b", vec![1, 2, 4, 7, 8]),
            ("contract-c", vec![3, 5, 9, 10, 12, 14, 16]),
        ] {
            let of_stream = page(store, Read::stream(stream(id))).await.events;
            assert_eq!(numbers(&of_stream), expected);
        }
        let unchanged = page(store, Read::stream(stream("contract-unchanged"))).await;
        assert_eq!(unchanged.events, []);
    }
}

/// Mixed appends of concurrent writers keep their order, also beside appends that are rejected.
pub async fn concurrent_mixed_appends_keep_their_order<B: Backend>() {
    const WRITERS: u64 = 64;
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let tasks = (0..WRITERS).map(|writer| {
        let store = handles[writer as usize % 2].clone();
        tokio::spawn(async move {
            let own = format!("contract-{writer}");
            // A third of the appends expects a stream that does not exist.
            let is_valid = writer % 3 != 2;
            let own_expected = match is_valid {
                true => ExpectedVersion::NoStream,
                false => ExpectedVersion::StreamExists,
            };
            let streams = [
                ("contract-shared", ExpectedVersion::Any),
                (&own, own_expected),
            ];
            let events = [1, 0, 1, 0, 0].into_iter().zip(writer * 5..);
            let request = mixed(to(&streams), &events.collect::<Vec<_>>());
            match store.append(request).await {
                Ok(appended) if is_valid => Some((appended, writer)),
                Err(AppendError::Conflict(_)) if !is_valid => None,
                other => panic!("unexpected result of a mixed append: {other:?}"),
            }
        })
    });
    let results = join_all(tasks.collect::<Vec<_>>()).await;
    let stored = all_events(&handles[0], 100).await;
    let results: Vec<_> = results.into_iter().flatten().collect();
    assert_eq!(stored.len(), results.len() * 5);
    let mut shared = 0;
    for events in stored.chunks(5) {
        let writer = numbers(events)[0] / 5;
        let expected: Vec<u64> = (writer * 5..).take(5).collect();
        assert_eq!(numbers(events), expected, "the events of writer {writer}");
        let own = format!("contract-{writer}");
        let streams: Vec<&str> = events.iter().map(|event| event.stream.as_str()).collect();
        let other = "contract-shared";
        assert_eq!(streams, [&*own, other, &own, other, other]);
        assert_eq!(versions(events), [1, shared + 1, 2, shared + 2, shared + 3]);
        shared += 3;
        let result = results.iter().find(|(_, by)| *by == writer);
        let (appended, _) = result.expect("the append of a stored event was accepted");
        let last = events[4].position.get();
        assert_result(appended, (last, 5), &[(&own, 2), (other, shared)]);
    }
}
