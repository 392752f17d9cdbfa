//! An upgrade of a database that an older version wrote: nothing is lost, and the store continues.

use std::sync::Arc;

use factum::store::{
    Append, AppendError, ContentType, Document, DocumentChanges, ExpectedVersion, IdempotencyKey,
    Metadata, NewEvent, Query, Read, Store, StreamList, Tag,
};
use factum::{Position, StreamId, Version};
use uuid::Uuid;

fn stream(id: &str) -> StreamId {
    id.parse().unwrap()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::new(key, value).unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn emptied(number: u128) -> NewEvent {
    NewEvent {
        id: id(number),
        name: "shelf.emptied".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: vec![tag("piece", "bolt")],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    }
}

async fn read_note(store: &impl Store) -> Document {
    let found = store.find_documents(&["note/a".to_owned()]).await;
    found.unwrap().pop().unwrap()
}

/// Checks a database in `support/schema_….sql` after the upgrade, and writes to it.
pub async fn check_older_schema(store: &impl Store) {
    check_events(store).await;
    check_finds(store).await;
    check_appends(store).await;
}

async fn check_events(store: &impl Store) {
    let all = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!(all.head, Position::new(5));
    let rows: Vec<_> = all
        .events
        .iter()
        .map(|event| {
            (
                event.stream.as_str(),
                event.version.get(),
                &*event.name,
                &event.data[..],
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (
                "shelf-1",
                1,
                "shelf.filled",
                br#"{"pieces":5,"weight":0.1}"#.as_slice()
            ),
            ("shelf-1", 2, "shelf.taken", br#"{"pieces": 2}"#),
            ("room-cellar-2", 1, "room.opened", b"{}"),
            ("shelf-2", 1, "shelf.photographed", &[0, 1, 2, 255]),
            ("shelf-1", 3, "shelf.filled", br#"{"pieces":1}"#),
        ]
    );
    for (number, event) in (1..).zip(&all.events) {
        assert_eq!(event.id, id(number));
        assert_eq!(event.schema_version, 1 + number as u32 % 2);
        assert!(event.recorded_at.as_micros() > 1_796_000_000_000_000);
    }
    let first = &all.events[0];
    assert_eq!(first.tags, [tag("piece", "bolt"), tag("room", "cellar é")]);
    assert_eq!(first.metadata.actor.as_deref(), Some("ada"));
    assert_eq!(
        first.metadata.reason.as_deref(),
        Some("first stock-taking; it's \"due\"")
    );
    assert_eq!(first.metadata.correlation_id, Some(Uuid::from_u128(7)));
    assert_eq!(first.metadata.extra["device"]["number"], 4);
    let photo = ContentType::Other("application/octet-stream".into());
    assert_eq!(all.events[3].content_type, photo);
}

async fn check_finds(store: &impl Store) {
    let bolts = Read::all(Query::tag(tag("piece", "bolt")).and(Query::category("room")));
    let bolts = store.read(bolts).await.unwrap();
    assert_eq!(bolts.events.len(), 1);
    assert_eq!(bolts.events[0].position, Position::new(3));
    let shelves = store
        .list_streams(StreamList::category("shelf"))
        .await
        .unwrap();
    let shelves: Vec<_> = shelves.iter().map(|found| found.stream.as_str()).collect();
    assert_eq!(shelves, ["shelf-1", "shelf-2"]);
    let key = IdempotencyKey::new("request-1", b"fill shelf 1");
    let known = store.find(&key).await.unwrap().unwrap();
    assert_eq!((known.position, known.count), (Position::new(3), 3));
    let snapshot = store
        .load_snapshot(&stream("shelf-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (snapshot.version, &*snapshot.data),
        (Version::new(2), br#"{"pieces":3}"#.as_slice())
    );
    let note = read_note(store).await;
    assert_eq!((&*note.value, note.revision.get()), (r#"{"seen": 1}"#, 1));
}

async fn check_appends(store: &impl Store) {
    let note = read_note(store).await;
    let (shelf_1, shelf) = (stream("shelf-1"), stream("shelf"));
    let append = Append::stream(
        shelf_1.clone(),
        ExpectedVersion::Exact(3.into()),
        Vec::new(),
    )
    .and_stream(shelf.clone(), ExpectedVersion::NoStream, vec![emptied(6)])
    .and_event(0, emptied(7))
    .and_event(1, emptied(8))
    .with_changes(DocumentChanges::new().put_if("note/a", note.revision, "2"));
    let appended = store.append(append).await.unwrap();
    assert_eq!(appended.position, Position::new(8));
    let versions = [(shelf, Version::new(2)), (shelf_1, Version::new(4))];
    assert_eq!(appended.versions, versions);
    let bolts = store
        .read(Read::all(Query::tag(tag("piece", "bolt"))))
        .await
        .unwrap();
    let bolts: Vec<_> = bolts
        .events
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(bolts, [1, 3, 6, 7, 8]);
    let of_shelves = store
        .read(Read::all(Query::category("shelf")))
        .await
        .unwrap();
    assert_eq!(of_shelves.events.len(), 7);
    assert!(read_note(store).await.revision > note.revision);
}

/// Checks a database of schema 1 in which the events at the positions 5 and 6 have the same id.
pub async fn check_repeated_ids(store: &impl Store) {
    let all = store.read(Read::all(Query::all())).await.unwrap();
    let ids: Vec<_> = all.events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 5].map(id));
    let append = |number| {
        let events = vec![emptied(number)];
        Append::stream(stream("shelf-3"), ExpectedVersion::Any, events)
    };
    store.append(append(7)).await.unwrap();
    let reused = store.append(append(7)).await;
    assert!(
        matches!(reused, Err(AppendError::EventIdReused { .. })),
        "{reused:?}"
    );
}
