//! Cases about reads: pages, directions, queries and subscriptions.

use std::sync::Arc;

use super::harness::{Backend, all_events, event, events, numbers, page, put, stream, tag, tagged};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::{MAX_PAGE, Read};
use factum_engine::record::{ContentType, NewEvent, RecordedEvent};
use factum_engine::subscription::Subscription;

/// Reads return the right page in both directions, for a stream, several streams and all events.
pub async fn reads_page_forward_and_backward<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    for round in 0..4 {
        put(&store, "contract-a", events([round * 2])).await;
        put(&store, "contract-b", events([round * 2 + 1])).await;
    }
    let of_a = || Read::stream(stream("contract-a"));
    let of_all = || Read::all(Query::all());
    let of_both = || {
        Read::streams([
            stream("contract-b"),
            stream("contract-a"),
            stream("contract-c"),
        ])
    };
    for (read, expected) in [
        (of_a(), vec![0, 2, 4, 6]),
        (of_a().after(1_u64), vec![2, 4, 6]),
        (of_a().after(1_u64).limit(2), vec![2, 4]),
        (of_a().after(4_u64), vec![]),
        (of_a().after(u64::MAX), vec![]),
        (of_a().backward(), vec![6, 4, 2, 0]),
        (of_a().backward().limit(1), vec![6]),
        (of_a().before(3_u64), vec![2, 0]),
        (of_a().before(1_u64), vec![]),
        (of_a().before(0_u64), vec![]),
        (of_all(), vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (of_all().after(5_u64), vec![5, 6, 7]),
        (of_all().backward().limit(3), vec![7, 6, 5]),
        (of_all().before(3_u64), vec![1, 0]),
        (of_all().after(Position::MAX), vec![]),
        (of_both(), vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (of_both().after(6_u64), vec![6, 7]),
        (of_both().before(3_u64), vec![1, 0]),
        (Read::streams([stream("contract-b")]).limit(2), vec![1, 3]),
        (Read::streams([]), vec![]),
        (Read::stream(stream("contract-c")), vec![]),
        (Read::stream(stream("contract-c")).backward(), vec![]),
    ] {
        let found = page(&store, read.clone()).await;
        assert_eq!(numbers(&found.events), expected, "{read:?}");
        assert_eq!(found.head, Position::new(8), "{read:?}");
    }
}

/// A page reports whether more events follow and up to which position it has read.
pub async fn page_reports_whether_more_events_exist<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let empty = page(&store, Read::all(Query::all())).await;
    assert_eq!(
        (empty.head, empty.more, empty.through()),
        (Position::ZERO, false, Position::ZERO)
    );
    put(&store, "contract-a", events(1..=5)).await;
    put(&store, "contract-b", events(6..=8)).await;
    let of_a = |limit| Read::all(Query::stream_prefix("contract-a")).limit(limit);
    for (read, more, through) in [
        (of_a(4), true, 4),
        (of_a(5), false, 8),
        (of_a(6), false, 8),
        (of_a(3).after(2_u64), false, 8),
        (of_a(2).after(2_u64), true, 4),
        (of_a(1).after(5_u64), false, 8),
        (Read::all(Query::all()).limit(8), false, 8),
        (Read::all(Query::all()).limit(7), true, 7),
    ] {
        let page = page(&store, read.clone()).await;
        assert_eq!(
            (page.more, page.through()),
            (more, Position::new(through)),
            "{read:?}"
        );
    }
    let ids = || [stream("contract-a"), stream("contract-b")];
    for (read, more) in [
        (Read::stream(stream("contract-a")).limit(4), true),
        (Read::stream(stream("contract-a")).limit(5), false),
        (Read::stream(stream("contract-a")).backward().limit(4), true),
        (
            Read::stream(stream("contract-a")).backward().limit(5),
            false,
        ),
        (Read::streams(ids()).limit(7), true),
        (Read::streams(ids()).limit(8), false),
        (Read::streams(ids()).backward().limit(7), true),
        (Read::streams(ids()).backward().limit(8), false),
        (Read::all(Query::all()).backward().limit(7), true),
        (Read::all(Query::all()).backward().limit(8), false),
    ] {
        let page = page(&store, read.clone()).await;
        assert_eq!((page.more, page.head.get()), (more, 8), "{read:?}");
    }
}

/// A query accepts thousands of tags and event types.
pub async fn query_accepts_many_tags_and_event_types<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(
        &store,
        "contract-a",
        vec![tagged(1, &["k:7"]), tagged(2, &["k:3001"]), event(3)],
    )
    .await;
    let tags = || (0..3_000).map(|number| tag(&format!("k:{number}")));
    let found = page(&store, Read::all(Query::any_tag(tags()))).await;
    assert_eq!(numbers(&found.events), [1]);
    let names = (0..3_000).map(|number| format!("contract.other{number}"));
    let found = page(&store, Read::all(Query::event_types(names.clone()))).await;
    assert_eq!(numbers(&found.events), [0; 0]);
    let names = names.chain(["contract.numbered".to_owned()]);
    let found = page(&store, Read::all(Query::event_types(names))).await;
    assert_eq!(numbers(&found.events), [1, 2, 3]);
}

/// A stream prefix has no wildcards and is case-sensitive.
pub async fn stream_prefix_matches_literally<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let ids = [
        "a-%", "a-x", "a-_y", "a-*z", "a-?", "a-[x]", "a-\u{e9}", "a-'", "A-x", "a-%%",
    ];
    for (number, id) in (0..).zip(ids) {
        put(&store, id, vec![event(number)]).await;
    }
    for prefix in [
        "a-%", "a-_", "a-*", "a-?", "a-[", "a-\u{e9}", "a-'", "a-", "A-", "a-x", "",
    ] {
        let expected: Vec<u64> = (0..)
            .zip(ids)
            .filter(|(_, id)| id.starts_with(prefix))
            .map(|(number, _)| number)
            .collect();
        let found = page(&store, Read::all(Query::stream_prefix(prefix))).await;
        assert_eq!(numbers(&found.events), expected, "{prefix:?}");
    }
}

/// Reads return every event even if a page would be too large.
pub async fn pages_of_large_events_are_complete<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    // Large events that together exceed the size of a page, with small events between them.
    for number in 0..12_u64 {
        let padding = if number % 3 == 0 { 4 * 1024 * 1024 } else { 10 };
        let data = format!(
            r#"{{"number":{number},"padding":"{}"}}"#,
            "x".repeat(padding)
        );
        let large = NewEvent {
            data: data.into(),
            ..event(number)
        };
        put(&store, "contract-large", vec![large]).await;
    }
    let stored = all_events(&store, MAX_PAGE).await;
    assert_eq!(numbers(&stored), (0..12).collect::<Vec<_>>());
    let mut backward = Vec::new();
    loop {
        let before = backward
            .last()
            .map_or(u64::MAX, |event: &RecordedEvent| event.version.get());
        let page = page(
            &store,
            Read::stream(stream("contract-large")).before(before),
        )
        .await;
        assert!(
            !page.events.is_empty(),
            "a page before version {before} is empty"
        );
        backward.extend(page.events);
        if !page.more {
            break;
        }
    }
    assert_eq!(numbers(&backward), (0..12).rev().collect::<Vec<_>>());
}

/// A subscriber gets events that no codec can decode, and the events after them.
pub async fn subscriber_gets_undecodable_events<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    for number in 0..9_u64 {
        let content_type = match number {
            8 => ContentType::Json,
            _ => ContentType::Other("application/x-unknown".into()),
        };
        let unknown = NewEvent {
            content_type,
            schema_version: u32::MAX,
            ..event(number)
        };
        put(&store, "contract-a", vec![unknown]).await;
    }
    let store = Arc::new(backend.open().await);
    let mut subscription = Subscription::new(store, Query::all(), Position::ZERO).page_size(3);
    let mut seen = Vec::new();
    while subscription.position() < Position::new(9) {
        let page = subscription.next_page().await;
        seen.extend(page.expect("the next page should be readable").events);
    }
    assert_eq!(numbers(&seen), (0..9).collect::<Vec<_>>());
}
