//! Cases about lists of streams and imports.

use std::time::Duration;

use super::harness::{
    Backend, all_events, append, event, events, numbers, page, put, stream, tag, tagged,
};
use factum_core::append::{Append, AppendError, Appended, ExpectedVersion};
use factum_core::error::StoreError;
use factum_core::event_type_list::EventTypeList;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_core::stream_list::StreamList;
use factum_core::timestamp::Timestamp;

async fn list(store: &impl EventStore, list: StreamList) -> Vec<(String, u64, u64)> {
    let found = store.list_streams(list).await;
    let found = found
        .expect("the list of streams should succeed")
        .into_iter();
    let found = found.map(|summary| {
        let position = summary.position.get();
        (summary.stream.to_string(), summary.version.get(), position)
    });
    found.collect()
}

/// A list contains the streams of its category in the byte order of their ids, page by page.
pub async fn stream_list_pages_in_order_of_ids<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    assert_eq!(list(&store, StreamList::all()).await, []);
    for (id, numbers) in [
        ("lamp-2", 0..3),
        ("lamp-10", 3..4),
        ("lampe-1", 4..5),
        ("Lamp-1", 5..6),
        ("lamp-é", 6..7),
        ("lamp-a-b", 7..8),
        ("lamp-10", 8..10),
        ("lam-1", 10..11),
    ] {
        put(&store, id, events(numbers)).await;
    }
    let row = |id: &str, version, position| (id.to_owned(), version, position);
    let lamps = [
        row("lamp-10", 3, 10),
        row("lamp-2", 3, 3),
        row("lamp-a-b", 1, 8),
        row("lamp-é", 1, 7),
    ];
    let of_lamps = || StreamList::category("lamp");
    assert_eq!(list(&store, of_lamps()).await, lamps);
    assert_eq!(list(&store, of_lamps().limit(2)).await, lamps[..2]);
    let next = of_lamps().after(stream("lamp-2"));
    assert_eq!(list(&store, next.limit(1)).await, lamps[2..3]);
    let after_absent = of_lamps().after(stream("lamp-11"));
    assert_eq!(list(&store, after_absent).await, lamps[1..]);
    assert_eq!(list(&store, StreamList::category("la")).await, []);
    let all = list(&store, StreamList::all()).await;
    let ids: Vec<_> = all.iter().map(|(id, ..)| &**id).collect();
    assert_eq!(
        ids,
        [
            "Lamp-1", "lam-1", "lamp-10", "lamp-2", "lamp-a-b", "lamp-é", "lampe-1"
        ]
    );
}

/// A list contains every event type with the position of its last event, page by page.
pub async fn event_type_list_is_complete_and_current<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let list = async |list| {
        let found = store.list_event_types(list).await;
        let found = found.expect("the list of event types should succeed");
        let found = found.into_iter();
        found
            .map(|summary| (summary.name, summary.position.get()))
            .collect::<Vec<_>>()
    };
    let named = |name: &str, number| {
        let mut event = event(number);
        event.name = name.to_owned().into();
        event
    };
    let row = |name: &str, position| (name.to_owned(), position);
    assert_eq!(list(EventTypeList::all()).await, []);
    for ((id, name), number) in [
        ("lamp-1", "lamp.on"),
        ("lamp-2", "Lamp.on"),
        ("lamp-1", "lamp.off"),
        ("lamp-1", "lamp.on"),
        ("lamp-3", "lämp.on"),
    ]
    .into_iter()
    .zip(0..)
    {
        put(&store, id, vec![named(name, number)]).await;
    }
    let expected = [
        row("Lamp.on", 2),
        row("lamp.off", 3),
        row("lamp.on", 4),
        row("lämp.on", 5),
    ];
    assert_eq!(list(EventTypeList::all()).await, expected);
    assert_eq!(list(EventTypeList::all().limit(2)).await, expected[..2]);
    let next = EventTypeList::all().after("lamp.off").limit(1);
    assert_eq!(list(next).await, expected[2..3]);
    let absent = EventTypeList::all().after("lamp.o");
    assert_eq!(list(absent).await, expected[1..]);
    // Events after the first list are in the next one.
    put(
        &store,
        "lamp-2",
        vec![named("lamp.off", 5), named("lamp.sold", 6)],
    )
    .await;
    let changed = [
        row("Lamp.on", 2),
        row("lamp.off", 6),
        row("lamp.on", 4),
        row("lamp.sold", 7),
        row("lämp.on", 5),
    ];
    assert_eq!(list(EventTypeList::all()).await, changed);
}

/// Streams and tags with any name are stored, found and listed.
///
/// The category of a stream is the text before the first `-`, or the complete id.
pub async fn streams_and_tags_may_have_any_name<B: Backend>() {
    const NAMES: [&str; 15] = [
        "$ce-lamp",
        "%",
        "-",
        "-lamp-1",
        ":",
        "_",
        "a/b?c=%20",
        "lamp",
        "lamp ",
        "lamp 1-2",
        "lamp-",
        "lamp-1",
        "lamp:1",
        "lampe",
        "\u{1f4a1}-\u{e9}",
    ];
    let backend = B::create().await;
    let store = backend.open().await;
    for (number, name) in (0..).zip(NAMES) {
        put(&store, name, vec![tagged(number, &[name])]).await;
    }
    let reopened = backend.open().await;
    for store in [&store, &reopened] {
        for (number, name) in (0..).zip(NAMES) {
            for read in [Read::stream(stream(name)), Read::all(Query::tag(tag(name)))] {
                let found = page(store, read).await;
                assert_eq!(numbers(&found.events), [number], "the events of {name:?}");
                assert_eq!(found.events[0].tags, [tag(name)]);
            }
            let category = stream(name).category().to_owned();
            let of_category = |name: &&str| stream(name).category() == category;
            let expected: Vec<_> = NAMES.into_iter().filter(of_category).collect();
            let found = page(store, Read::all(Query::category(&*category))).await;
            let found: Vec<_> = found
                .events
                .iter()
                .map(|event| event.stream.as_str())
                .collect();
            assert_eq!(found, expected, "the events of the category {category:?}");
            let listed = list(store, StreamList::category(&*category)).await;
            let listed: Vec<_> = listed.iter().map(|(id, ..)| &**id).collect();
            assert_eq!(listed, expected, "the streams of the category {category:?}");
        }
        let listed = list(store, StreamList::all()).await;
        let listed: Vec<_> = listed.iter().map(|(id, ..)| &**id).collect();
        assert_eq!(listed, NAMES);
        let lamps = list(store, StreamList::category("lamp").limit(2)).await;
        assert_eq!(
            lamps.len(),
            2,
            "a page of a category has more streams than its limit"
        );
        let none = page(store, Read::all(Query::none())).await;
        assert_eq!(none.events.len(), 0, "a query for nothing finds events");
    }
    let conflict = to("another", ExpectedVersion::Any, 99)
        .condition(Query::category("lamp"), Position::new(8));
    let conflict = store.append(conflict).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict(_))),
        "expected a conflict, got {conflict:?}"
    );
}

fn to(id: &str, expected: ExpectedVersion, number: u64) -> Append {
    Append::stream(stream(id), expected, vec![event(number)])
}

/// Imports an append; returns `None` if the store does not support it.
async fn import(store: &impl EventStore, append: Append, time: Timestamp) -> Option<Appended> {
    match store.import(append, time).await {
        Ok(appended) => Some(appended),
        Err(AppendError::Store(StoreError::Unsupported { .. })) => None,
        Err(error) => panic!("the import should succeed: {error:?}"),
    }
}

/// An import keeps the original times, as far as they are in order and not in the future.
pub async fn import_keeps_original_times<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let year = |years: u64| Timestamp::from_micros(0) + Duration::from_hours(years * 365 * 24);
    let first = to("lamp-1", ExpectedVersion::NoStream, 1);
    let Some(first) = import(&store, first, year(30)).await else {
        return;
    };
    assert_eq!(
        (first.position, first.recorded_at),
        (Position::new(1), year(30))
    );
    let earlier = to("lamp-2", ExpectedVersion::NoStream, 2);
    let earlier = import(&store, earlier, year(20)).await.expect("an import");
    assert_eq!(earlier.recorded_at, year(30));
    let conflict = to("lamp-1", ExpectedVersion::NoStream, 3);
    let conflict = store.import(conflict, year(31)).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict(_))),
        "expected a conflict, got {conflict:?}"
    );
    let later = to("lamp-1", ExpectedVersion::Exact(1.into()), 3);
    import(&store, later, year(40)).await.expect("an import");
    let future = to("lamp-1", ExpectedVersion::Any, 4);
    let future = import(&store, future, year(9_000))
        .await
        .expect("an import");
    assert!(future.recorded_at < year(100), "{}", future.recorded_at);
    let ordinary = append(&store, to("lamp-1", ExpectedVersion::Exact(3.into()), 5)).await;
    assert!(ordinary.recorded_at >= future.recorded_at);
    let stored = all_events(&store, 2).await;
    assert_eq!(numbers(&stored), [1, 2, 3, 4, 5]);
    let times: Vec<_> = stored.iter().map(|event| event.recorded_at).collect();
    assert_eq!(times[..3], [year(30), year(30), year(40)]);
    assert_eq!(times[3..], [future.recorded_at, ordinary.recorded_at]);
}

/// An import keeps the order of events whose streams are mixed.
pub async fn import_keeps_the_order_of_mixed_events<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let time = Timestamp::from_micros(1_000_000);
    let request = |first, expected| {
        let request = Append::stream(stream("lamp-1"), expected, Vec::new())
            .and_stream(stream("lamp-2"), expected, Vec::new())
            .and_stream(stream("lamp-3"), ExpectedVersion::Any, Vec::new());
        let order = [1, 0, 1, 2, 0].into_iter().zip(first..);
        order.fold(request, |request, (stream, number)| {
            request.and_event(stream, event(number))
        })
    };
    let first = request(1, ExpectedVersion::NoStream);
    let Some(first) = import(&store, first, time).await else {
        return;
    };
    let names = |appended: &Appended| -> Vec<(String, u64)> {
        let versions = appended.versions.iter();
        let versions = versions.map(|(stream, version)| (stream.to_string(), version.get()));
        versions.collect()
    };
    let of = |versions: [(&str, u64); 3]| versions.map(|(id, version)| (id.to_owned(), version));
    assert_eq!((first.position, first.count), (Position::new(5), 5));
    assert_eq!(
        names(&first),
        of([("lamp-2", 2), ("lamp-1", 2), ("lamp-3", 1)])
    );
    let next = request(6, ExpectedVersion::Exact(2.into()));
    let next = import(&store, next, time).await.expect("an import");
    assert_eq!((next.position, next.count), (Position::new(10), 5));
    assert_eq!(
        names(&next),
        of([("lamp-2", 4), ("lamp-1", 4), ("lamp-3", 2)])
    );
    // Not an import: the versions that the store knows include the imported events.
    append(&store, request(11, ExpectedVersion::Exact(4.into()))).await;
    let stored = all_events(&store, 4).await;
    assert_eq!(numbers(&stored), (1..=15).collect::<Vec<_>>());
    let streams: Vec<&str> = stored.iter().map(|event| event.stream.as_str()).collect();
    let order = ["lamp-2", "lamp-1", "lamp-2", "lamp-3", "lamp-1"];
    assert_eq!(streams, order.repeat(3));
    let versions: Vec<u64> = stored.iter().map(|event| event.version.get()).collect();
    assert_eq!(versions, [1, 1, 2, 1, 2, 3, 3, 4, 2, 4, 5, 5, 6, 3, 6]);
}
