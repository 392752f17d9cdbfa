//! Copies of the events of a store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use factum::prelude::*;
use factum::store::{
    Append, CopyError, EventStore, ExpectedVersion, NewEvent, Query, Read, RecordedEvent, Tag,
    copy_events,
};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Rung {
        #[tag]
        tower: u32,
        loudness: f64,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u32, event = BellEvent)]
struct Bell;

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {}
}

/// Rings two bells at once.
#[derive(Command, Debug, Serialize)]
#[command(on = (Bell, Bell))]
struct Ring {
    #[id]
    one: u32,
    #[id]
    other: u32,
}

type Both = (Events<BellEvent>, Events<BellEvent>);

impl Decide for Ring {
    type Error = std::convert::Infallible;

    fn decide(&self, _: (&Bell, &Bell)) -> Result<Both, Self::Error> {
        let rung = |loudness| BellEvent::Rung { tower: 1, loudness };
        Ok(([rung(0.1), rung(0.2)].into(), rung(0.3).into()))
    }
}

async fn ring(engine: &Engine, times: u32) {
    for bell in 0..times {
        let (one, other) = (bell % 7, 7 + bell % 5);
        engine.execute(Ring { one, other }).by("ada").await.unwrap();
    }
}

async fn all(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let (mut events, mut read) = (Vec::new(), Read::all(Query::all()));
    loop {
        let page = store.read(read.clone()).await.unwrap();
        read = read.after(page.through());
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_keeps_events_and_continues_later() {
    let source = MemoryStore::new();
    let engine = Engine::new(source.clone());
    ring(&engine, 400).await;
    let folder = tempfile::tempdir().unwrap();
    let target = SqliteStore::open(folder.path().join("copy.db"))
        .await
        .unwrap();
    let copied = copy_events(&source, &target).await.unwrap();
    assert_eq!((copied.stored, copied.head.get()), (1_200, 1_200));
    assert_eq!(all(&target).await, all(&source).await);
    ring(&engine, 3).await;
    let copied = copy_events(&source, &target).await.unwrap();
    assert_eq!((copied.stored, copied.head.get()), (9, 1_209));
    assert_eq!(all(&target).await, all(&source).await);
    let back = MemoryStore::new();
    copy_events(&target, &back).await.unwrap();
    assert_eq!(all(&back).await, all(&source).await);
    // The copy is a complete store.
    ring(&Engine::new(target.clone()), 1).await;
    target.close().await;
}

#[tokio::test]
async fn copy_never_changes_a_store_with_other_events() {
    let (source, target) = (MemoryStore::new(), MemoryStore::new());
    ring(&Engine::new(source.clone()), 2).await;
    ring(&Engine::new(target.clone()), 1).await;
    let before = all(&target).await;
    let error = copy_events(&source, &target).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the target differs from the source at position 1, in the id; copy into an empty store, or with the same tags as \
         before"
    );
    assert!(matches!(error, CopyError::Different { .. }));
    assert_eq!(all(&target).await, before);
    // A target that is ahead is different, too.
    let error = copy_events(&MemoryStore::new(), &target).await.unwrap_err();
    assert!(matches!(error, CopyError::Different { .. }), "{error}");
}

#[tokio::test]
async fn decrypted_personal_data_is_not_copied() {
    let source = MemoryStore::new();
    let mut event = NewEvent::from(copied_event().await);
    event.tags = vec![Tag::new("personal", "17").unwrap()];
    let stream = "bell-1".parse().unwrap();
    let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
    source.append(append).await.unwrap();
    let target = MemoryStore::new();
    let error = copy_events(&source, &target).await.unwrap_err();
    assert!(matches!(error, CopyError::Decrypted { .. }), "{error}");
    assert_eq!(all(&target).await, []);
}

async fn copied_event() -> RecordedEvent {
    let store = MemoryStore::new();
    ring(&Engine::new(store.clone()), 1).await;
    all(&store).await.remove(0)
}
