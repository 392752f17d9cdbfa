//! Appends: byte for byte, all or nothing, each expectation judged.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use super::contract::{
    Backend, append, conflict, event, events, everything, numbers, page, put, stream, tag,
};
use crate::append::{Append, Expected, IdempotencyKey, MAX_APPEND};
use crate::error::{AppendError, InvalidAppend, Violation};
use crate::metadata::Metadata;
use crate::place::{Position, Version};
use crate::query::Query;
use crate::read::Read;
use crate::record::{ContentType, MAX_EVENT_DATA, NewEvent};
use crate::store::EventStore as _;

/// Events with everything in them that could get lost on the way.
fn all_kinds() -> Vec<NewEvent> {
    let mut metadata = Metadata {
        actor: Some("Zoë \"the\" O'Neill \u{1F980}".into()),
        reason: Some("because\\of\u{0}everything\n".into()),
        correlation_id: Some(Uuid::now_v7()),
        causation_id: Some(Uuid::now_v7()),
        tenant: Some("tenant-7".into()),
        trace_parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..Metadata::default()
    };
    metadata
        .extra
        .insert("ip".into(), json!(["::1", {"port": 443}, null, 1.5]));
    let of = |content_type, data: Vec<u8>| NewEvent {
        content_type,
        data: Bytes::from(data),
        name: "contract.söme \"name\"".into(),
        schema_version: 4_000_000_000,
        tags: vec![
            tag("owner:Zoë"),
            tag("key:with:colons and 'quotes'"),
            tag("empty:"),
        ],
        metadata: Arc::new(metadata.clone()),
        ..event(0)
    };
    let binary = ContentType::Other("application/x-all-bytes".into());
    vec![
        of(
            ContentType::Json,
            br#"{"text":"quote \" backslash \\ nul \u0000 crab \ud83e\udd80 \u00e9"}"#.to_vec(),
        ),
        of(
            ContentType::Json,
            "{\"text\":\"\u{e9}\u{1F980}\u{2028}\"}".into(),
        ),
        of(ContentType::Json, b" \t{ \"spaces\" : 1 }\r\n".to_vec()),
        of(
            ContentType::Json,
            b"[1,2.50,1e400,\"  spaces  \" ]".to_vec(),
        ),
        of(
            ContentType::Json,
            format!("\"{}\"", "x".repeat(1024 * 1024)).into_bytes(),
        ),
        of(binary.clone(), (0..=255).cycle().take(1024).collect()),
        of(binary, Vec::new()),
    ]
}

/// What is stored comes back byte for byte.
pub async fn what_is_stored_comes_back_byte_for_byte<B: Backend>() {
    let place = B::create().await;
    let sent = all_kinds();
    let appended = {
        let store = place.open().await;
        let append = Append::stream(
            stream("contract-Zoë 'x' \u{1F980}"),
            Expected::NoStream,
            sent.clone(),
        );
        store.append(append).await.expect("an append")
    };
    for store in [place.open().await, place.open().await] {
        let stored = everything(&store, 2).await;
        assert_eq!(stored.len(), sent.len());
        for ((sent, stored), index) in sent.iter().zip(&stored).zip(1..) {
            assert_eq!(stored.position, Position::new(index));
            assert_eq!(stored.version, Version::new(index));
            assert_eq!(stored.stream, stream("contract-Zoë 'x' \u{1F980}"));
            assert_eq!(stored.id, sent.id);
            assert_eq!(stored.name, sent.name);
            assert_eq!(stored.schema_version, sent.schema_version);
            assert_eq!(stored.content_type, sent.content_type);
            assert!(
                stored.data == sent.data,
                "the data of event {index} were changed"
            );
            assert_eq!(stored.tags, sent.tags);
            assert_eq!(stored.metadata, sent.metadata);
            assert_eq!(stored.recorded_at, appended.recorded_at);
        }
    }
}

/// An append over several streams is all or nothing.
pub async fn an_append_over_several_streams_is_all_or_nothing<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-b", events(1..=2)).await;
    let over_three = |expected| {
        Append::stream(stream("contract-a"), Expected::NoStream, events(10..=11))
            .and_stream(stream("contract-b"), expected, events(20..=20))
            .and_stream(stream("contract-c"), Expected::Any, events(30..=32))
    };
    conflict(&store, over_three(Expected::NoStream)).await;
    assert_eq!(numbers(&everything(&store, 100).await), [1, 2]);

    let appended = append(&store, over_three(Expected::Exact(Version::new(2)))).await;
    assert_eq!(appended.count, 6);
    assert_eq!(appended.position, Position::new(8));
    let versions: Vec<(&str, u64)> = appended
        .versions
        .iter()
        .map(|(stream, version)| (stream.as_str(), version.get()))
        .collect();
    assert_eq!(
        versions,
        [("contract-a", 2), ("contract-b", 3), ("contract-c", 3)]
    );
    assert!(!appended.repeated);
    let stored = everything(&store, 100).await;
    assert_eq!(numbers(&stored), [1, 2, 10, 11, 20, 30, 31, 32]);
    let places: Vec<u64> = stored.iter().map(|event| event.version.get()).collect();
    assert_eq!(places, [1, 2, 1, 2, 3, 1, 2, 3]);
}

/// Every violation is reported in order.
pub async fn every_violation_is_reported_in_order<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(&store, "contract-a", events(1..=3)).await;
    let known = put(
        &store,
        "contract-b",
        vec![super::contract::tagged(4, &["seat:1"])],
    )
    .await
    .position;
    let query = Query::any_tag([tag("seat:1")]);
    let refused = Append::stream(
        stream("contract-a"),
        Expected::Exact(Version::new(2)),
        events(5..=5),
    )
    .and_stream(
        stream("contract-b"),
        Expected::Exact(Version::new(1)),
        events(6..=6),
    )
    .and_stream(stream("contract-c"), Expected::StreamExists, events(7..=7))
    .unless(query.clone(), Position::new(known.get() - 1));
    let conflict = conflict(&store, refused).await;
    let expected = [
        Violation::Version {
            stream: stream("contract-a"),
            expected: Expected::Exact(Version::new(2)),
            actual: Version::new(3),
        },
        Violation::Version {
            stream: stream("contract-c"),
            expected: Expected::StreamExists,
            actual: Version::ZERO,
        },
        Violation::Condition {
            condition: crate::append::Condition {
                query,
                after: Position::new(known.get() - 1),
            },
            found: known,
        },
    ];
    assert_eq!(conflict.violations, expected);
}

/// An expectation is judged against its stream.
pub async fn an_expectation_is_judged_against_its_stream<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let expectations = [
        (Expected::Any, [true, true]),
        (Expected::NoStream, [true, false]),
        (Expected::StreamExists, [false, true]),
        (Expected::Exact(Version::ZERO), [true, false]),
        (Expected::Exact(Version::new(1)), [false, false]),
        (Expected::Exact(Version::new(2)), [false, true]),
        (Expected::Exact(Version::new(3)), [false, false]),
        (Expected::Exact(Version::MAX), [false, false]),
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
pub async fn an_append_without_events_only_checks<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let empty = append(&store, Append::default()).await;
    assert_eq!((empty.position, empty.count), (Position::ZERO, 0));
    put(&store, "contract-a", events(1..=2)).await;
    let check = |expected| Append::stream(stream("contract-a"), expected, Vec::new());
    let checked = append(&store, check(Expected::Exact(Version::new(2)))).await;
    assert_eq!((checked.position, checked.count), (Position::new(2), 0));
    assert_eq!(checked.versions, []);
    conflict(&store, check(Expected::NoStream)).await;
    assert_eq!(everything(&store, 10).await.len(), 2);
    // Checked and not written: the stream of an append without events does not come into being.
    append(
        &store,
        Append::stream(stream("contract-b"), Expected::NoStream, Vec::new()),
    )
    .await;
    append(
        &store,
        Append::stream(stream("contract-b"), Expected::NoStream, events(3..=3)),
    )
    .await;
}

type Expectation = fn(&InvalidAppend) -> bool;

/// What no store takes is refused.
pub async fn what_no_store_takes_is_refused<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let one = |event: NewEvent| Append::stream(stream("contract-a"), Expected::Any, vec![event]);
    let named = |name: &str| {
        one(NewEvent {
            name: name.to_owned().into(),
            ..event(1)
        })
    };
    let data = |data: Vec<u8>| {
        one(NewEvent {
            data: data.into(),
            ..event(1)
        })
    };
    let twice = one(event(1)).and_stream(stream("contract-a"), Expected::Any, events(2..=2));
    let key = |bytes: usize| one(event(1)).once(IdempotencyKey::new("k".repeat(bytes), b""));
    let many = events(0..=MAX_APPEND as u64);
    let invalid: Vec<(Append, Expectation)> = vec![
        (twice, |error| {
            matches!(error, InvalidAppend::StreamTwice { .. })
        }),
        (
            Append::stream(stream("contract-a"), Expected::Any, many),
            |error| matches!(error, InvalidAppend::TooManyEvents { .. }),
        ),
        (data(vec![b' '; MAX_EVENT_DATA + 1]), |error| {
            matches!(error, InvalidAppend::DataTooLarge { .. })
        }),
        (data(vec![0xff]), |error| {
            matches!(error, InvalidAppend::JsonNotUtf8 { .. })
        }),
        (named(""), |error| {
            matches!(error, InvalidAppend::Name { .. })
        }),
        (named("a\nb"), |error| {
            matches!(error, InvalidAppend::Name { .. })
        }),
        (named(&"n".repeat(256)), |error| {
            matches!(error, InvalidAppend::Name { .. })
        }),
        (key(0), |error| matches!(error, InvalidAppend::Key { .. })),
        (key(257), |error| matches!(error, InvalidAppend::Key { .. })),
    ];
    for (append, expected) in invalid {
        match store.append(append).await {
            Err(AppendError::Invalid(error)) if expected(&error) => {}
            other => panic!("not refused as it must be: {other:?}"),
        }
    }
    assert_eq!(
        page(&store, Read::all(Query::all())).await.head,
        Position::ZERO
    );
}

/// A large append is one append.
pub async fn a_large_append_is_one_append<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let most = MAX_APPEND as u64;
    let appended = put(&store, "contract-large", events(1..=most)).await;
    assert_eq!(appended.position, Position::new(most));
    let stored = everything(&store, 1_000).await;
    assert_eq!(numbers(&stored), (1..=most).collect::<Vec<_>>());
}
