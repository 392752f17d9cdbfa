//! The operations that the protocol does not have are refused, and nothing is stored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use factum_compatible_store::CompatibleStore;
use factum_core::append::{Append, AppendError, ExpectedVersion, IdempotencyKey};
use factum_core::document::{DocumentChanges, DocumentError, DocumentStore as _, Scan};
use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::snapshot::{Snapshot, SnapshotStore as _};
use factum_core::store::EventStore as _;
use factum_testkit::conformance::harness::{event, events, put, stream};
use server::Server;

fn to(id: &str, expected: ExpectedVersion) -> Append {
    Append::stream(stream(id), expected, events([1]))
}

fn is_unsupported(error: &StoreError, operation: &str) -> bool {
    matches!(error, StoreError::Unsupported { operation: named } if named.contains(operation))
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_appends_store_nothing() {
    let server = Server::start();
    let store = CompatibleStore::open(&server.connection).await.unwrap();
    let any = || to("hive-1", ExpectedVersion::Any);
    let key = IdempotencyKey::new("request-1", b"content");
    let appends = [
        (any().idempotency_key(key.clone()), "idempotency key"),
        (any().condition(Query::all(), Position::ZERO), "condition"),
        (
            any().with_changes(DocumentChanges::new().put("a", "1")),
            "document",
        ),
        (
            any().and_stream(stream("hive-2"), ExpectedVersion::NoStream, Vec::new()),
            "several streams",
        ),
        (any().require(event(1).id), "requires"),
        (to("$hive", ExpectedVersion::Any), "begins with `$`"),
    ];
    for (append, operation) in appends {
        let refused = store.append(append).await;
        assert!(
            matches!(&refused, Err(AppendError::Store(error)) if is_unsupported(error, operation)),
            "{operation}: {refused:?}"
        );
    }
    let found = store.find(&key).await;
    assert!(matches!(&found, Err(AppendError::Store(error)) if is_unsupported(error, "key")));
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!((page.events.len(), page.head), (0, Position::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_documents_and_no_snapshots() {
    let server = Server::start();
    let store = CompatibleStore::open(&server.connection).await.unwrap();
    let changed = store
        .change_documents(DocumentChanges::new().put("a", "1"))
        .await;
    assert!(
        matches!(&changed, Err(DocumentError::Store(error)) if is_unsupported(error, "documents"))
    );
    let found = store.find_documents(&["a".to_owned()]).await.unwrap_err();
    assert!(is_unsupported(&found, "documents"));
    let scanned = store.scan_documents(Scan::prefix("a")).await.unwrap_err();
    assert!(is_unsupported(&scanned, "documents"));
    let snapshot = Snapshot {
        stream: stream("hive-1"),
        version: Version::new(1),
        position: Position::new(1),
        schema_version: 1,
        data: "{}".into(),
    };
    let saved = store.save_snapshot(snapshot).await.unwrap_err();
    assert!(is_unsupported(&saved, "snapshots"));
    assert_eq!(store.load_snapshot(&stream("hive-1")).await.unwrap(), None);
}

/// A server whose streams other clients delete shows what the adapter makes of it.
#[tokio::test(flavor = "multi_thread")]
async fn ended_stream_is_an_error() {
    let server = Server::start();
    let store = CompatibleStore::open(&server.connection).await.unwrap();
    let client = kurrentdb::Client::new(server.connection.parse().unwrap()).unwrap();
    put(&store, "hive-1", events(1..3)).await;
    put(&store, "hive-2", events(3..4)).await;
    client
        .delete_stream("hive-1", &Default::default())
        .await
        .unwrap();
    let page = store.read(Read::stream(stream("hive-1"))).await.unwrap();
    assert_eq!(page.events, []);
    let appended = put(&store, "hive-1", events([5])).await;
    assert_eq!(
        appended.versions[0].1,
        Version::new(3),
        "the versions continue"
    );
    client
        .tombstone_stream("hive-2", &Default::default())
        .await
        .unwrap();
    let read = store.read(Read::stream(stream("hive-2"))).await;
    assert!(
        matches!(&read, Err(StoreError::Failed(error)) if error.to_string().contains("tombstone"))
    );
    let refused = store.append(to("hive-2", ExpectedVersion::Any)).await;
    assert!(
        matches!(&refused, Err(AppendError::Store(StoreError::Failed(error))) if error.to_string().contains("tombstone")),
        "{refused:?}"
    );
}

/// Events of other clients have the metadata of those clients, and other clients can read ours.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_other_clients_keep_their_metadata() {
    let server = Server::start();
    let store = CompatibleStore::open(&server.connection).await.unwrap();
    let client = kurrentdb::Client::new(server.connection.parse().unwrap()).unwrap();
    let cause = factum_core::event_id::new_event_id();
    let sent = format!("{{ \"$causationId\": \"{cause}\", \"by\": 7 }}");
    let foreign = kurrentdb::EventData::binary("weighed", vec![0, 255].into());
    let foreign = foreign.metadata(sent.clone().into());
    client
        .append_to_stream("hive-1", &Default::default(), foreign)
        .await
        .unwrap();
    let mut own = event(2);
    let metadata = std::sync::Arc::make_mut(&mut own.metadata);
    metadata.correlation_id = Some(cause);
    put(&store, "hive-1", vec![own]).await;
    let page = store.read(Read::stream(stream("hive-1"))).await.unwrap();
    let [first, second] = &page.events[..] else {
        panic!("expected two events, got {page:?}");
    };
    assert_eq!(first.metadata.foreign, sent);
    assert_eq!(first.metadata.causation_id, Some(cause));
    assert_eq!(
        (&first.data[..], first.content_type.as_str()),
        (&[0, 255][..], "application/octet-stream")
    );
    assert_eq!(second.metadata.foreign, "");
    assert_eq!(second.metadata.correlation_id, Some(cause));
    let mut events = client
        .read_stream("hive-1", &Default::default())
        .await
        .unwrap();
    events.next().await.unwrap();
    let second = events.next().await.unwrap().unwrap();
    let second = second.get_original_event();
    let metadata: serde_json::Value = serde_json::from_slice(&second.custom_metadata).unwrap();
    assert_eq!(metadata["$correlationId"], cause.to_string());
    assert!(second.is_json);
}
