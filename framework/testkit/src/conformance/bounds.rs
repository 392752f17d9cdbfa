//! Cases about limits: values beyond a limit are rejected, values at a limit are stored unchanged.

use std::sync::Arc;

use super::harness::{
    Backend, all_events, append, conflict, event, events, number, numbers, page, put, stream, tag,
    tagged,
};
use factum_core::append::{
    Append, AppendError, ExpectedVersion, IdempotencyKey, InvalidAppend, MAX_APPEND, Violation,
};
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::query::{Query, QueryItem};
use factum_core::read::{MAX_PAGE, Read};
use factum_core::store::EventStore as _;
use factum_engine::record::{ContentType, MAX_EVENT_DATA, NewEvent};

type Expectation = fn(&InvalidAppend) -> bool;

/// Appends that are not valid are rejected, and nothing is stored.
pub async fn invalid_appends_are_rejected<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let one =
        |event: NewEvent| Append::stream(stream("contract-a"), ExpectedVersion::Any, vec![event]);
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
    let twice = one(event(1)).and_stream(stream("contract-a"), ExpectedVersion::Any, events(2..=2));
    let key =
        |bytes: usize| one(event(1)).idempotency_key(IdempotencyKey::new("k".repeat(bytes), b""));
    let many = events(0..=MAX_APPEND as u64);
    let invalid: Vec<(Append, Expectation)> = vec![
        (twice, |error| {
            matches!(error, InvalidAppend::DuplicateStream { .. })
        }),
        (
            Append::stream(stream("contract-a"), ExpectedVersion::Any, many),
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
            other => panic!("expected another error of an append that is not valid, got {other:?}"),
        }
    }
    assert_eq!(
        page(&store, Read::all(Query::all())).await.head,
        Position::ZERO
    );
}

/// An append with the maximum number of events is stored as a whole.
pub async fn largest_append_is_stored_whole<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let most = MAX_APPEND as u64;
    let appended = put(&store, "contract-large", events(1..=most)).await;
    assert_eq!(appended.position, Position::new(most));
    let stored = all_events(&store, 1_000).await;
    assert_eq!(numbers(&stored), (1..=most).collect::<Vec<_>>());
}

/// Values at the limits are stored, found by queries and returned unchanged.
pub async fn values_at_the_limits_are_stored_unchanged<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let category = "c".repeat(64);
    let id = stream(&format!("{category}-{}", "\u{e9}".repeat(223) + "k"));
    let longest = tag(&format!("k:{}", "t".repeat(510)));
    let mut data = vec![b' '; MAX_EVENT_DATA];
    data[0] = b'7';
    let mut metadata = Metadata::default();
    metadata.reason = Some("r".repeat(100_000));
    let large = NewEvent {
        name: "n".repeat(255).into(),
        schema_version: u32::MAX,
        data: data.into(),
        tags: (0..300)
            .map(|number| tag(&format!("k:{number}")))
            .chain([longest.clone()])
            .collect(),
        metadata: Arc::new(metadata),
        ..event(0)
    };
    let bytes = NewEvent {
        content_type: ContentType::Other("application/octet-stream".into()),
        data: vec![0; MAX_EVENT_DATA].into(),
        ..event(0)
    };
    let sent = [large, bytes];
    let request = Append::stream(id.clone(), ExpectedVersion::NoStream, sent.to_vec());
    append(&store, request).await;
    let mut stored = Vec::new();
    while stored.len() < 2 {
        let read = Read::stream(id.clone()).after(stored.len() as u64);
        let page = page(&store, read).await;
        assert!(
            !page.events.is_empty(),
            "a page with unread events is empty"
        );
        stored.extend(page.events);
    }
    for (stored, sent) in stored.iter().zip(&sent) {
        assert!(
            stored.data == sent.data,
            "event data of the maximum size changed in the store"
        );
        assert_eq!((&stored.stream, &stored.name), (&id, &sent.name));
        assert_eq!(stored.schema_version, sent.schema_version);
        assert_eq!(
            (&stored.tags, &stored.metadata),
            (&sent.tags, &sent.metadata)
        );
    }
    let item = QueryItem {
        category: Some(category),
        stream_prefix: Some(id.as_str().to_owned()),
        ..QueryItem::default()
    };
    let query = Query::all().or(item.event_type(sent[0].name.clone()).tag(longest));
    let found = page(&store, Read::all(query).limit(2)).await;
    assert_eq!(found.events.len(), 1);
    assert_eq!(found.events[0].position, Position::new(1));
}

/// Streams, event types, tags and idempotency keys with similar names stay distinct.
pub async fn similar_names_stay_distinct<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let alike = [
        "x",
        "X",
        "x ",
        " x",
        "x\u{200b}",
        "\u{e9}",
        "e\u{301}",
        "e",
        "\u{df}",
        "ss",
        "\u{fb01}",
        "fi",
        "01",
        "1",
        "\u{ff11}",
        "i",
        "I",
        "\u{130}",
        "\u{131}",
    ];
    let key = |text: &str| IdempotencyKey::new(text, text.as_bytes());
    for (number, text) in (0..).zip(alike) {
        let named = NewEvent {
            name: text.to_owned().into(),
            ..tagged(number, &[&format!("k:{text}")])
        };
        let id = stream(&format!("contract-{text}"));
        let request =
            Append::stream(id, ExpectedVersion::NoStream, vec![named]).idempotency_key(key(text));
        let appended = append(&store, request).await;
        assert!(
            !appended.repeated,
            "the idempotency key {text:?} was confused with another key"
        );
        assert_eq!(
            appended.versions[0].1,
            Version::new(1),
            "version of the new stream with the key {text:?}"
        );
    }
    for (number, text) in (0..).zip(alike) {
        let id = stream(&format!("contract-{text}"));
        for read in [
            Read::stream(id.clone()),
            Read::streams([id]),
            Read::all(Query::event_types([text])),
            Read::all(Query::any_tag([tag(&format!("k:{text}"))])),
        ] {
            let found = page(&store, read.clone()).await;
            assert_eq!(numbers(&found.events), [number], "{read:?}");
        }
        let found = store.find(&key(text)).await;
        let found = found.expect("the key lookup should succeed");
        let position = found.map(|appended| appended.position);
        let expected = Some(Position::new(number + 1));
        assert_eq!(position, expected, "the idempotency key {text:?}");
    }
}

/// Appends, reads and conflicts accept thousands of streams.
pub async fn append_accepts_many_streams<B: Backend>() {
    const STREAMS: u64 = 2_000;
    let backend = B::create().await;
    let store = backend.open().await;
    let id = |number: u64| stream(&format!("contract-{}", number * 7_919 % STREAMS));
    let request = || {
        (0..STREAMS).fold(Append::default(), |append, number| {
            append.and_stream(id(number), ExpectedVersion::NoStream, events([number]))
        })
    };
    let appended = append(&store, request()).await;
    assert_eq!(
        (appended.count, appended.versions.len() as u64),
        (STREAMS, STREAMS)
    );
    let ids = || {
        (0..STREAMS)
            .rev()
            .map(id)
            .chain([id(0), stream("contract-none")])
    };
    let mut found = Vec::new();
    loop {
        let page = page(&store, Read::streams(ids()).after(found.len() as u64)).await;
        let length = page.events.len();
        assert!(
            length <= MAX_PAGE,
            "a page has {length} events; the limit is {MAX_PAGE}"
        );
        found.extend(page.events.iter().map(number));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, (0..STREAMS).collect::<Vec<_>>());
    let rejected = conflict(&store, request()).await;
    let violation = |number| Violation::Version {
        stream: id(number),
        expected: ExpectedVersion::NoStream,
        actual: Version::new(1),
    };
    let expected: Vec<_> = (0..STREAMS).map(violation).collect();
    assert!(
        rejected.violations == expected,
        "the conflict must list {STREAMS} violations in the order of the request, but lists {} or another order",
        rejected.violations.len()
    );
}
