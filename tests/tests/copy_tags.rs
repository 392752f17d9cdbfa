//! Copies whose events get the tags of the present code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error as _;

use factum::event::{DecodeError, UpcastError};
use factum::prelude::*;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore};
use factum::store::{CopyError, EventStore, Query, Read, RecordedEvent, Tag, copy_events};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use serde_json::{Value, json};

/// The code that stored the events: without tags.
mod old {
    use super::*;

    #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[event(prefix = "seat")]
    pub enum SeatEvent {
        Reserved {
            seat: u32,
            guest: String,
            #[personal(subject = guest)]
            name: String,
        },
        Cleaned,
    }

    #[derive(Aggregate, Debug, Clone, Default)]
    #[aggregate(category = "seat", id = u32, event = SeatEvent)]
    pub struct Seat;

    impl Apply<SeatEvent> for Seat {
        fn apply(&mut self, _: &SeatEvent) {}
    }

    #[derive(Command, Debug, Serialize)]
    #[command(on = Seat)]
    pub struct Reserve {
        #[id]
        pub seat: u32,
    }

    impl Decide for Reserve {
        type Error = std::convert::Infallible;

        fn decide(&self, _: &Seat) -> Result<Events<SeatEvent>, Self::Error> {
            let reserved = SeatEvent::Reserved {
                seat: self.seat,
                guest: "g-17".to_owned(),
                name: "Ada".to_owned(),
            };
            Ok([reserved, SeatEvent::Cleaned].into())
        }
    }
}

/// The present code, whose upcaster adds the tagged row.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "seat")]
enum SeatEvent {
    #[event(version = 2, upcast = add_row)]
    Reserved {
        #[tag]
        seat: u32,
        #[tag]
        row: u32,
        guest: String,
        #[personal(subject = guest)]
        name: String,
    },
    Cleaned,
}

fn add_row(mut fields: Value) -> Result<Value, UpcastError> {
    fields["row"] = json!(fields["seat"].as_u64().unwrap_or_default() / 10);
    Ok(fields)
}

fn tag(key: &str, value: u32) -> Tag {
    Tag::new(key, value).unwrap()
}

async fn find(store: &dyn EventStore, query: Query) -> Vec<RecordedEvent> {
    store.read(Read::all(query)).await.unwrap().events
}

/// Returns a store with its encryption, and the same store without it.
async fn encrypted() -> (Engine, MemoryStore) {
    let (store, keys) = (MemoryStore::new(), MemoryStore::new());
    let keys = DocumentKeys::open(keys, MasterKey::new(&[7; 32])).await;
    let encrypted = PersonalDataStore::open(store.clone(), keys.unwrap()).await;
    (Engine::new(encrypted.unwrap()), store)
}

async fn reserve(engine: &Engine, seat: u32) {
    engine.execute(old::Reserve { seat }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retag_gives_old_events_the_tags_of_the_code() {
    let (engine, source) = encrypted().await;
    reserve(&engine, 17).await;
    reserve(&engine, 23).await;
    let folder = tempfile::tempdir().unwrap();
    let target = SqliteStore::open(folder.path().join("copy.db"))
        .await
        .unwrap();
    let copied = copy_events(&source, &target)
        .retag::<SeatEvent>()
        .await
        .unwrap();
    assert_eq!(copied.stored, 4);
    // The copy continues, and compares what it has copied before.
    reserve(&engine, 18).await;
    let copied = copy_events(&source, &target)
        .retag::<SeatEvent>()
        .await
        .unwrap();
    assert_eq!((copied.stored, copied.head.get()), (2, 6));
    for (query, positions) in [
        (Query::tag(tag("seat", 17)), vec![1]),
        (Query::tag(tag("row", 1)), vec![1, 5]),
        (Query::tag(tag("row", 2)), vec![3]),
    ] {
        let found = find(&target, query).await;
        let found: Vec<_> = found.iter().map(|event| event.position.get()).collect();
        assert_eq!(found, positions);
    }
    // All else is unchanged: the encrypted data, the schema version, and the tag of the data subject.
    let copies = find(&target, Query::all()).await;
    for (copy, original) in copies.into_iter().zip(find(&source, Query::all()).await) {
        let own = |tag: &Tag| {
            ["seat:", "row:"]
                .iter()
                .any(|key| tag.as_str().starts_with(key))
        };
        let (own, others): (Vec<_>, Vec<_>) = copy.tags.iter().cloned().partition(own);
        let is_reservation = copy.name == "seat.reserved";
        assert_eq!(
            (own.len(), others.len()),
            if is_reservation { (2, 1) } else { (0, 0) }
        );
        assert_eq!(
            RecordedEvent {
                tags: others,
                ..copy
            },
            original
        );
    }
    let error = copy_events(&source, &target).await.unwrap_err();
    let different = "the target differs from the source at position 1, in the tags; \
                     copy into an empty store, or with the same tags as before";
    assert_eq!(error.to_string(), different);
    target.close().await;
}

#[tokio::test]
async fn mapped_tags_replace_all_but_those_of_data_subjects() {
    let (engine, source) = encrypted().await;
    reserve(&engine, 17).await;
    let target = MemoryStore::new();
    let by_version = |event: &RecordedEvent| {
        let version = Tag::new("version", event.version)?;
        Ok(vec![version.clone(), version])
    };
    let copy = copy_events(&source, &target)
        .retag::<SeatEvent>()
        .map_tags(by_version);
    copy.await.unwrap();
    let copies = find(&target, Query::all()).await;
    let tags = |index: usize| {
        copies[index]
            .tags
            .iter()
            .map(Tag::as_str)
            .collect::<Vec<_>>()
    };
    assert_eq!(tags(0)[0], "version:1");
    assert!(tags(0)[1].starts_with("personal:"), "{:?}", tags(0));
    assert_eq!((tags(0).len(), tags(1)), (2, vec!["version:2"]));
}

/// An event of the same type with other fields.
#[derive(Event, Debug, Serialize, Deserialize)]
#[event(name = "seat.cleaned")]
struct Cleaned {
    #[tag]
    by: String,
}

#[tokio::test]
async fn event_that_cannot_be_tagged_stops_the_copy() {
    let (engine, source) = encrypted().await;
    reserve(&engine, 17).await;
    let target = MemoryStore::new();
    let error = copy_events(&source, &target)
        .retag::<Cleaned>()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot determine the tags of the event seat.cleaned at position 2"
    );
    assert!(error.source().unwrap().is::<DecodeError>(), "{error:?}");
    assert!(matches!(error, CopyError::Tags { .. }));
    // The copy continues with code that reads the event.
    copy_events(&source, &target)
        .retag::<SeatEvent>()
        .await
        .unwrap();
    assert_eq!(find(&target, Query::tag(tag("seat", 17))).await.len(), 1);
}
