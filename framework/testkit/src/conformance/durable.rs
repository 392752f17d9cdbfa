//! Cases about durability: stored data is unchanged and survives its handles.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::harness::{
    Backend, all_events, append, conflict, event, events, numbers, put, stream, tag, tagged,
};
use factum_core::append::{Append, AppendError, ExpectedVersion, IdempotencyKey};
use factum_core::event_id::new_event_id;
use factum_core::metadata::{MAX_METADATA, Metadata};
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::snapshot::{Snapshot, SnapshotStore as _};
use factum_core::store::EventStore as _;
use factum_engine::record::{Assigned, ContentType, NewEvent, RecordedEvent};
use uuid::Uuid;

/// The names of the fields of metadata.
const FIELDS: [&str; 8] = [
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "tenant",
    "trace_parent",
    "extra",
    "foreign",
];

/// Returns events with unusual data, names, tags and metadata that a store could change.
fn all_kinds() -> Vec<NewEvent> {
    let mut metadata = Metadata::default();
    metadata.actor = Some("Zoë \"the\" O'Neill \u{1F980}".into());
    metadata.reason = Some("because\\of\u{1}everything\n".into());
    metadata.correlation_id = Some(new_event_id());
    metadata.causation_id = Some(new_event_id());
    metadata.tenant = Some("tenant-7".into());
    metadata.trace_parent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    let extra = json!(["::1", {"port": 443, "": ""}, null, 1.5, -0.25, true, u64::MAX, i64::MIN]);
    metadata.extra.insert("ip \u{e9} \"".into(), extra);
    // Entries that have the names of fields, with values of other types.
    for name in FIELDS {
        metadata.extra.insert(name.into(), json!([name, 1]));
    }
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

/// Stored events are returned byte for byte, from every handle that is opened later.
pub async fn stored_events_are_returned_byte_for_byte<B: Backend>() {
    let backend = B::create().await;
    let id = stream("contract-Zo\u{eb} 'x' \u{1F980}");
    let mut sent: Vec<RecordedEvent> = Vec::new();
    {
        let store = backend.open().await;
        // An event with default values follows the unusual ones.
        for events in [all_kinds(), vec![event(1)]] {
            let request = Append::stream(id.clone(), ExpectedVersion::Any, events.clone());
            let recorded_at = append(&store, request).await.recorded_at;
            for event in events {
                let index = sent.len() as u64 + 1;
                let assigned = Assigned {
                    position: Position::new(index),
                    version: Version::new(index),
                    recorded_at,
                };
                sent.push(RecordedEvent::new(event, id.clone(), assigned));
            }
        }
    }
    for store in [backend.open().await, backend.open().await] {
        let stored = all_events(&store, 2).await;
        assert_eq!(stored.len(), sent.len());
        for (stored, sent) in stored.iter().zip(&sent) {
            let index = sent.position;
            // Compared separately, so that a failure does not print a megabyte.
            assert!(
                stored.data == sent.data,
                "the data of event {index} changed in the store"
            );
            assert_eq!(stored, sent);
        }
    }
}

/// Returns events as clients of other protocols send them.
///
/// They have random ids, any media type, and metadata of any bytes.
fn foreign_events() -> Vec<NewEvent> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let data = [
        (ContentType::Json, br#" {"b":1.0,"a":[] } "#.to_vec()),
        (ContentType::Json, Vec::new()),
        (
            ContentType::Other("application/octet-stream".into()),
            all_bytes.repeat(4_096),
        ),
        (
            ContentType::Other("application/octet-stream".into()),
            Vec::new(),
        ),
        (ContentType::Other("text/plain".into()), b"{}".to_vec()),
    ];
    let metadata: [&[u8]; 6] = [
        b"",
        br#"{"b":1.0,"a":"\u0000", "$correlationId":"x" }"#,
        b"[1]",
        b"\0",
        &all_bytes,
        "\u{e9}\u{1F980}\r\n".as_bytes(),
    ];
    let large = vec![b'"'; MAX_METADATA];
    let metadata = metadata.into_iter().chain([&large[..]]);
    let events = metadata.flat_map(|foreign| {
        data.iter().map(|(content_type, data)| {
            let mut metadata = Metadata::default();
            metadata.foreign = Bytes::copy_from_slice(foreign);
            NewEvent {
                id: random_id(),
                name: "ForeignEvent".into(),
                content_type: content_type.clone(),
                data: Bytes::from(data.clone()),
                metadata: Arc::new(metadata),
                ..event(0)
            }
        })
    });
    events.collect()
}

/// Returns a UUIDv4, whose order says nothing about its time.
fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    fastrand::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// Ids, media types, data and metadata that clients of other protocols send are returned unchanged.
pub async fn foreign_events_are_returned_unchanged<B: Backend>() {
    let backend = B::create().await;
    let sent = foreign_events();
    let store = backend.open().await;
    for events in sent.chunks(8) {
        put(&store, "foreign", events.to_vec()).await;
    }
    let stored = all_events(&backend.open().await, 10).await;
    assert_eq!(stored.len(), sent.len());
    for (stored, sent) in stored.into_iter().zip(sent) {
        let (position, stored) = (stored.position, NewEvent::from(stored));
        assert_eq!(
            (stored.id, &stored.content_type),
            (sent.id, &sent.content_type)
        );
        assert!(stored.data == sent.data, "the data of event {position}");
        assert!(
            stored == sent,
            "event {position} with {} bytes of metadata",
            sent.metadata.foreign.len()
        );
    }
}

/// Events, idempotency keys and snapshots survive a reopen, and so do the checks that depend on them.
pub async fn events_keys_and_snapshots_survive_reopen<B: Backend>() {
    let backend = B::create().await;
    let request = || {
        Append::stream(
            stream("contract-a"),
            ExpectedVersion::NoStream,
            events(1..=3),
        )
        .idempotency_key(IdempotencyKey::new("req-7", b"content"))
    };
    let snapshot = Snapshot {
        stream: stream("contract-a"),
        version: Version::new(2),
        position: Position::new(2),
        schema_version: 1,
        data: Bytes::from_static(b"{}"),
    };
    let (first, last) = {
        let (store, other) = (backend.open().await, backend.open().await);
        let first = append(&store, request()).await;
        let saved = store.save_snapshot(snapshot.clone()).await;
        saved.expect("the snapshot should be saved");
        let last = put(&other, "contract-b", vec![tagged(4, &["seat:1"])]).await;
        (first, last)
    };
    let store = backend.open().await;
    assert_eq!(numbers(&all_events(&store, 2).await), [1, 2, 3, 4]);
    let loaded = store.load_snapshot(&snapshot.stream).await;
    assert_eq!(loaded.expect("the snapshot should load"), Some(snapshot));
    let second = append(&store, request()).await;
    assert!(
        second.repeated,
        "the idempotency key did not survive the reopen"
    );
    assert_eq!(
        (second.position, second.count),
        (first.position, first.count)
    );
    assert_eq!(second.versions, first.versions);
    assert_eq!(second.recorded_at, first.recorded_at);
    let other_content = request().idempotency_key(IdempotencyKey::new("req-7", b"other"));
    let rejected = store.append(other_content).await;
    assert!(
        matches!(rejected, Err(AppendError::KeyReused { .. })),
        "expected KeyReused for a key with other content, got {rejected:?}"
    );
    let on = |expected| Append::stream(stream("contract-a"), expected, events(5..=5));
    let seat = || Query::any_tag([tag("seat:1")]);
    conflict(&store, on(ExpectedVersion::NoStream)).await;
    conflict(
        &store,
        on(ExpectedVersion::Any).condition(seat(), Position::new(3)),
    )
    .await;
    let expected = ExpectedVersion::Exact(Version::new(3));
    let next = append(&store, on(expected).condition(seat(), Position::new(4))).await;
    assert_eq!(next.position, Position::new(5));
    assert_eq!(next.versions, [(stream("contract-a"), Version::new(4))]);
    let (next, last) = (next.recorded_at, last.recorded_at);
    assert!(
        next >= last,
        "the time {next} is before the earlier event at {last}"
    );
}
