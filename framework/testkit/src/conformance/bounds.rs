//! Cases about limits: values beyond a limit are rejected, values at a limit are stored unchanged.

use std::sync::Arc;

use super::harness::{
    Backend, all_events, append, conflict, event, events, join_all, number as number_of, numbers,
    page, put, stream, tag, tagged,
};
use factum_core::append::{
    Append, AppendError, ExpectedVersion, IdempotencyKey, InvalidAppend, MAX_APPEND,
    MAX_APPEND_STREAMS, Violation,
};
use factum_core::document::{DocumentChanges, DocumentStore as _, Scan};
use factum_core::error::StoreError;
use factum_core::metadata::{MAX_METADATA, MAX_METADATA_NAME, MAX_REASON, Metadata};
use factum_core::position::{Position, Version};
use factum_core::query::{MAX_QUERY, Query, QueryItem};
use factum_core::read::{MAX_PAGE, MAX_PAGE_BYTES, MAX_READ_STREAMS, Read, Scope};
use factum_core::record::{ContentType, MAX_EVENT_DATA, MAX_TAGS, NewEvent, RecordedEvent};
use factum_core::store::EventStore as _;

/// Appends that are not valid are rejected with the rule that they violate, and nothing is stored.
pub async fn invalid_appends_are_rejected<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    for (append, rule) in invalid_appends().into_iter().chain(invalid_metadata()) {
        match store.append(append).await {
            Err(AppendError::Invalid(error)) if error.to_string().contains(rule) => {}
            other => panic!("expected an error that contains {rule:?}, got {other:?}"),
        }
    }
    // The log is still readable.
    assert_eq!(
        page(&store, Read::all(Query::all())).await.head,
        Position::ZERO
    );
    put(&store, "contract-a", vec![event(1)]).await;
    assert_eq!(numbers(&all_events(&store, 10).await), [1]);
}

fn one(event: NewEvent) -> Append {
    Append::stream(stream("contract-a"), ExpectedVersion::Any, vec![event])
}

fn nested(levels: usize) -> serde_json::Value {
    (0..levels).fold(serde_json::Value::Null, |inner, _| vec![inner].into())
}

/// Returns an append with one event id in two streams.
fn same_id() -> Append {
    let mut same_id = events(1..=3);
    same_id[2].id = same_id[0].id;
    let [first, second, third] = <[NewEvent; 3]>::try_from(same_id).expect("three events");
    Append::stream(
        stream("contract-a"),
        ExpectedVersion::Any,
        vec![first, second],
    )
    .and_stream(stream("contract-b"), ExpectedVersion::Any, vec![third])
}

/// Returns appends with the rules that they violate.
#[expect(clippy::too_many_lines, reason = "a table of appends")]
fn invalid_appends() -> Vec<(Append, &'static str)> {
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
    let content_type = |name: &str| {
        one(NewEvent {
            content_type: name.into(),
            ..event(1)
        })
    };
    let key = |key: &str| one(event(1)).idempotency_key(IdempotencyKey::new(key, b""));
    let condition = |query: Query| one(event(1)).condition(query, Position::ZERO);
    let twice = one(event(1)).and_stream(stream("contract-a"), ExpectedVersion::Any, events(2..=2));
    let many = events(0..=MAX_APPEND as u64);
    let expectations = (0..=MAX_APPEND_STREAMS).fold(Append::default(), |append, number| {
        let id = stream(&format!("contract-{number}"));
        append.and_stream(id, ExpectedVersion::NoStream, Vec::new())
    });
    let large = NewEvent {
        data: vec![b' '; MAX_EVENT_DATA].into(),
        ..event(1)
    };
    let tags = (0..=MAX_TAGS).map(|number| tag(&format!("k:{number}")));
    let deep = [vec![b'['; 128], vec![b']'; 128]].concat();
    vec![
        (twice, "occurs twice"),
        (
            one(event(1)).and_event(1, event(2)),
            "invalid stream index of an event: 1; the append has 1 streams",
        ),
        (expectations, "too many streams in one append: 10001"),
        (
            same_id(),
            "occurs twice in one append; create an id for each event",
        ),
        (
            Append::stream(stream("contract-a"), ExpectedVersion::Any, many),
            "too many events in one append: 10001",
        ),
        (
            Append::stream(stream("contract-a"), ExpectedVersion::Any, vec![large; 5]),
            "append is too large",
        ),
        (
            data(vec![b' '; MAX_EVENT_DATA + 1]),
            "data of event contract.numbered is too large",
        ),
        (data(vec![0xff]), "must be UTF-8"),
        (data(b"\"\0\"".to_vec()), "U+0000"),
        (data(deep.clone()), "nested too deeply"),
        (
            one(NewEvent {
                content_type: ContentType::Other("application/json".into()),
                data: deep.into(),
                ..event(1)
            }),
            "nested too deeply",
        ),
        (
            content_type(ContentType::encrypted("no key").as_str()),
            "is reserved",
        ),
        (named(""), "invalid event type"),
        (named("a\nb"), "invalid event type"),
        (named("a\0b"), "invalid event type"),
        (named(&"n".repeat(256)), "event type is too large: 256"),
        (content_type(""), "invalid content type"),
        (content_type("text/\0"), "invalid content type"),
        (content_type(&"t".repeat(256)), "content type is too large"),
        (
            one(NewEvent {
                tags: tags.collect(),
                ..event(1)
            }),
            "too many tags of one event",
        ),
        (key(""), "invalid idempotency key"),
        (key("k\0"), "invalid idempotency key"),
        (key(&"k".repeat(257)), "idempotency key is too large: 257"),
        (
            condition(Query::category("a\0")),
            "invalid category of a query",
        ),
        (
            condition(Query::stream_prefix("p".repeat(513))),
            "stream prefix of a query is too large",
        ),
        (
            condition(Query::event_types(vec!["a"; MAX_QUERY + 1])),
            "too many items, event types and tags in a query",
        ),
        (
            one(event(1)).with_changes(DocumentChanges::new().put("a\0", "1")),
            "invalid document key",
        ),
        (
            one(event(1)).with_changes(DocumentChanges::new().put("a", nested(128).to_string())),
            "value of document \"a\" is nested too deeply",
        ),
    ]
}

/// Returns appends with metadata that is not valid, and the rules that it violates.
fn invalid_metadata() -> Vec<(Append, &'static str)> {
    let with = |change: fn(&mut Metadata)| {
        let mut metadata = Metadata::default();
        change(&mut metadata);
        one(NewEvent {
            metadata: Arc::new(metadata),
            ..event(1)
        })
    };
    let entry = |value: serde_json::Value| {
        let mut metadata = Metadata::default();
        metadata.extra.insert("a".to_owned(), value);
        one(NewEvent {
            metadata: Arc::new(metadata),
            ..event(1)
        })
    };
    vec![
        (
            with(|it| it.actor = Some("a\0".into())),
            "invalid metadata field `actor`",
        ),
        (
            with(|it| it.tenant = Some("t".repeat(1_025))),
            "metadata field `tenant` is too large",
        ),
        (
            with(|it| it.trace_parent = Some("a\n".into())),
            "invalid metadata field `trace_parent`",
        ),
        (
            with(|it| it.reason = Some("r".repeat(MAX_REASON + 1))),
            "metadata field `reason` is too large",
        ),
        (
            with(|it| it.reason = Some("r\0".into())),
            "invalid metadata field `reason`",
        ),
        (
            with(|it| {
                it.extra.insert("a\0".into(), 1.into());
            }),
            "invalid key of a metadata entry",
        ),
        (entry("\0".into()), "invalid metadata entry"),
        (
            entry(serde_json::json!([{ "\0": 1 }])),
            "invalid metadata entry",
        ),
        (
            entry(nested(101)),
            "metadata entry \"a\" is nested too deeply",
        ),
        (
            entry("x".repeat(MAX_METADATA).into()),
            "metadata is too large",
        ),
        (
            with(|it| it.foreign = vec![0; MAX_METADATA + 1].into()),
            "metadata is too large",
        ),
    ]
}

/// Reads with texts that no event can have are rejected by every store with the same error.
pub async fn invalid_reads_are_rejected<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let many_streams = vec![stream("contract-a"); MAX_READ_STREAMS + 1];
    for (read, rule) in [
        (
            Read::all(Query::category("a\0")),
            "invalid category of a query",
        ),
        (
            Read::all(Query::stream_prefix("a-\0")),
            "invalid stream prefix of a query",
        ),
        (
            Read::all(Query::event_types(["a\0"])),
            "invalid event type of a query",
        ),
        (
            Read::all(Query::event_types(vec!["a"; MAX_QUERY + 1])),
            "too many items, event types and tags in a query",
        ),
        (
            Read::streams(many_streams),
            "too many streams in one read: 10001",
        ),
    ] {
        expect_rule(store.read(read).await, rule);
    }
    let key = IdempotencyKey::new("k\0", b"");
    let found = store.find(&key).await;
    assert!(
        matches!(found, Err(AppendError::Invalid(InvalidAppend::Field(_)))),
        "expected an invalid key, got {found:?}"
    );
    let keys = ["a".to_owned(), "b\0".to_owned()];
    expect_rule(store.find_documents(&keys).await, "invalid document key");
    let found = store.scan_documents(Scan::prefix("a\0")).await;
    expect_rule(found, "invalid prefix of document keys");
}

fn expect_rule<T: std::fmt::Debug>(result: Result<T, StoreError>, rule: &str) {
    match result {
        Err(StoreError::Invalid(error)) if error.to_string().contains(rule) => {}
        other => panic!("expected an error that contains {rule:?}, got {other:?}"),
    }
}

/// A page ends at a number of bytes, to which data, tags and metadata count; no event is left out.
pub async fn pages_end_at_a_number_of_bytes<B: Backend>() {
    const EVENTS: u64 = 120;
    let backend = B::create().await;
    let store = backend.open().await;
    for number in 0..EVENTS {
        let mut event = event(number);
        match number % 3 {
            0 => {
                let mut metadata = Metadata::default();
                let text = "x".repeat(MAX_METADATA - 100);
                metadata.extra.insert("k".to_owned(), text.into());
                event.metadata = Arc::new(metadata);
            }
            1 => {
                let text = "t".repeat(500);
                let tags = (0..MAX_TAGS).map(|number| tag(&format!("k:{text}{number}")));
                event.tags = tags.collect();
            }
            _ => {}
        }
        // The sizes differ by stream, so that an index on the stream does not decide.
        put(&store, &format!("contract-{}", number % 2), vec![event]).await;
    }
    let mut found = Vec::new();
    loop {
        let page = page(&store, Read::all(Query::all()).after(found.len() as u64)).await;
        let sizes = page.events.iter().map(RecordedEvent::size);
        let size: usize = sizes.sum();
        let last = page.events.last().map_or(0, RecordedEvent::size);
        assert!(
            size - last < MAX_PAGE_BYTES + MAX_PAGE_BYTES / 100,
            "a page has {size} bytes, the last event {last}"
        );
        found.extend(page.events.iter().map(number_of));
        if !page.more {
            break;
        }
    }
    assert_eq!(found, (0..EVENTS).collect::<Vec<_>>());
    let mut of_stream = Vec::new();
    loop {
        let read = Read::stream(stream("contract-1")).after(of_stream.len() as u64);
        let page = page(&store, read).await;
        of_stream.extend(page.events.iter().map(number_of));
        if !page.more {
            break;
        }
    }
    let odd = (0..EVENTS).filter(|number| number % 2 == 1);
    assert_eq!(of_stream, odd.collect::<Vec<_>>());
}

/// A page ends at the size that the read requests, forward and backward, and has at least one event.
pub async fn pages_end_at_the_requested_size<B: Backend>() {
    const EVENTS: u64 = 40;
    let backend = B::create().await;
    let store = backend.open().await;
    for number in 0..EVENTS {
        let text = "x".repeat(number as usize % 7 * 80);
        let tagged = tagged(number, &[&format!("k:{text}")]);
        put(&store, &format!("contract-{}", number % 2), vec![tagged]).await;
    }
    let reads = [
        Read::all(Query::all()),
        Read::all(Query::all()).backward(),
        Read::all(Query::category("contract")),
        Read::streams([stream("contract-0"), stream("contract-1")]),
        Read::stream(stream("contract-1")),
        Read::stream(stream("contract-1")).backward(),
    ];
    for (read, max_bytes) in reads.iter().flat_map(|read| [(read, 1), (read, 1_000)]) {
        let expected = page(&store, read.clone()).await.events;
        let mut read = read.clone().max_bytes(max_bytes);
        let mut found = Vec::new();
        loop {
            let page = page(&store, read.clone()).await;
            let sizes: Vec<_> = page.events.iter().map(RecordedEvent::size).collect();
            if let Some((last, others)) = sizes.split_last() {
                let others: usize = others.iter().sum();
                assert!(others < max_bytes, "a page has {others} and {last} bytes");
            }
            if let Some(last) = page.events.last() {
                read.cursor = match read.scope {
                    Scope::Stream(_) => last.version.get(),
                    _ => last.position.get(),
                };
            }
            found.extend(page.events);
            if !page.more {
                break;
            }
        }
        assert_eq!(found, expected, "{read:?}");
    }
}

/// Concurrent appends of large events are stored, although together they exceed the size of one append.
pub async fn concurrent_large_appends_are_all_stored<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let appends = (0..12_u64).map(|number| {
        let store = store.clone();
        let padding = "x".repeat(8 * 1024 * 1024);
        let data = format!(r#"{{"number":{number},"padding":"{padding}"}}"#);
        let large = NewEvent {
            data: data.into(),
            ..event(number)
        };
        let id = stream(&format!("contract-{number}"));
        let append = Append::stream(id, ExpectedVersion::NoStream, vec![large]);
        tokio::spawn(async move { store.append(append).await.map(drop) })
    });
    let appends: Vec<_> = appends.collect();
    for result in join_all(appends).await {
        result.expect("an append must not fail because of others");
    }
    let mut stored = numbers(&all_events(&store, 10).await);
    stored.sort_unstable();
    assert_eq!(stored, (0..12).collect::<Vec<_>>());
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
    metadata.reason = Some("r".repeat(MAX_REASON));
    metadata.actor = Some("a".repeat(MAX_METADATA_NAME));
    let large = NewEvent {
        name: "n".repeat(255).into(),
        schema_version: u32::MAX,
        data: data.into(),
        tags: (1..MAX_TAGS)
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
    let query = Query::from(item.event_type(sent[0].name.clone()).tag(longest));
    let found = page(&store, Read::all(query).limit(2)).await;
    assert_eq!(found.events.len(), 1);
    assert_eq!(found.events[0].position, Position::new(1));
    // An item with as many tags as an event may have.
    let all_tags = Query::none().or(QueryItem {
        tags: sent[0].tags.clone(),
        ..QueryItem::default()
    });
    let found = page(&store, Read::all(all_tags.clone()).limit(2)).await;
    assert_eq!(found.events.len(), 1);
    let again = Append::stream(stream("contract-b"), ExpectedVersion::Any, events(2..=2));
    let rejected = conflict(&store, again.condition(all_tags, Position::ZERO)).await;
    assert_eq!(rejected.violations.len(), 1);
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
    // The read below names a stream twice, and a stream that does not exist.
    const STREAMS: u64 = MAX_APPEND_STREAMS as u64 - 2;
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
        found.extend(page.events.iter().map(number_of));
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
