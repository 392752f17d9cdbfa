//! Erasing one of many data subjects, rebuilding read models after it, and concurrent commands.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and shares its support with others"
)]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use factum::Position;
use factum::prelude::*;
use factum::privacy::{DocumentKeys, PersonalDataStore};
use factum::privacy::{PersonalField, Subject};
use factum::store::async_trait;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read, StoreError,
};
use factum::store::{Document, DocumentChanges, MemoryDocuments, Revision, Scan};
use factum::store::{DocumentError, DocumentStore};
use factum_memory::MemoryStore;
use factum_testkit::Backend;
use uuid::Uuid;

use people::*;

on_every_store!(
    erasure_is_fast_among_many_events,
    erasure_rebuilds_affected_read_models,
    concurrent_commands_do_not_conflict,
);

const SUBJECTS: u32 = 1_000;
const EACH: u32 = 100;

async fn erasure_is_fast_among_many_events<B: Backend>() {
    let place = B::create().await;
    let store = open(&place).await;
    for round in 0..EACH / 10 {
        let mut append = Append::default();
        for subject in 0..SUBJECTS {
            let stream = format!("order-{subject}").parse().unwrap();
            let events = (0..10).map(|number| noted(subject, round * 10 + number));
            append = append.and_stream(stream, ExpectedVersion::Any, events.collect());
        }
        store.append(append).await.unwrap();
    }
    let engine = Engine::new(store.clone());
    for id in ["7", "8"] {
        engine.execute(record(id, registered(id))).await.unwrap();
    }
    let names = InMemory::<Names>::new();
    let runtime = Runtime::builder(&engine)
        .projection(names.clone())
        .start()
        .await
        .unwrap();
    runtime.wait_until_current().await.unwrap();
    let head = *store.watch().borrow();
    runtime.wait_for(head).await.unwrap();
    let name = |id: &str| names.read(|names| names.0[id].clone());
    assert_eq!([name("7"), name("8")], ["7", "8"]);
    let before = as_stored(&place).await;
    assert_eq!(before.len() as u32, SUBJECTS * EACH + 2);

    let began = Instant::now();
    let erased = store.erase("7").await.unwrap();
    let elapsed = began.elapsed();
    assert_eq!(
        (erased.events, erased.streams.len()),
        (u64::from(EACH) + 1, 2)
    );
    // A scan of all events takes half a minute in a debug build.
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    assert!(
        as_stored(&place).await == before,
        "a stored event has changed"
    );
    engine.evict(&erased.streams);
    for (id, name) in [("7", "[redacted]"), ("8", "8")] {
        let customer = engine.load::<Customer>(&id.to_owned()).await.unwrap();
        assert_eq!((&*customer.name, customer.plan), (name, 3));
    }
    runtime
        .projection::<Names>()
        .unwrap()
        .rebuild()
        .await
        .unwrap();
    assert_eq!([name("7"), name("8")], ["[redacted]", "8"]);
    runtime.stop().await;
    let streams = ["order-6", "order-7", "order-8"].map(|stream| stream.parse().unwrap());
    let page = store.read(Read::streams(streams)).await.unwrap();
    let mut notes = BTreeMap::<String, u32>::new();
    for event in page.events {
        let OrderEvent::Placed { note, .. } = event.decode().unwrap();
        *notes.entry(note).or_default() += 1;
    }
    let expected = ["[redacted]", "of 6", "of 8"].map(|note| (note.to_owned(), EACH));
    assert_eq!(notes, BTreeMap::from(expected));
}

/// Returns the position, the id and the encrypted data of every event.
async fn as_stored<B: Backend>(place: &B) -> Vec<(Position, Uuid, Vec<u8>)> {
    let store = place.open().await;
    let mut events = Vec::new();
    let mut after = Position::ZERO;
    loop {
        let read = Read::all(Query::all()).after(after);
        let page = store.read(read).await.unwrap();
        after = page.through();
        let stored =
            |event: factum::store::RecordedEvent| (event.position, event.id, event.data.to_vec());
        events.extend(page.events.into_iter().map(stored));
        if !page.more {
            return events;
        }
    }
}

#[derive(Projection, Default)]
#[projection(events = CustomerEvent)]
struct Names(BTreeMap<String, String>);

impl Project<CustomerEvent> for Names {
    fn project(&mut self, event: &Recorded<CustomerEvent>) {
        if let CustomerEvent::Registered { name, .. } = &event.event {
            let id = event.record.stream.key().to_owned();
            self.0.insert(id, name.clone());
        }
    }
}

fn noted(subject: u32, number: u32) -> NewEvent {
    let data = format!(r#"{{"customer":"{subject}","total":{number},"note":"of {subject}"}}"#);
    NewEvent {
        id: Uuid::from_u128(u128::from(subject) << 64 | u128::from(number)),
        name: "order.placed".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: vec![PersonalField {
            field: "note",
            subject: Subject::Id(subject.to_string()),
            redacted: "\"[redacted]\"".to_owned(),
        }],
    }
}

#[derive(Projection, Default)]
#[projection(events = (CustomerEvent, OrderEvent))]
struct Notes {
    names: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Project<CustomerEvent> for Notes {
    fn project(&mut self, event: &Recorded<CustomerEvent>) {
        if let CustomerEvent::Registered { name, .. } = &event.event {
            let id = event.record.stream.key().to_owned();
            self.names.insert(id, name.clone());
        }
    }
}

impl Project<OrderEvent> for Notes {
    fn project(&mut self, event: &Recorded<OrderEvent>) {
        let OrderEvent::Placed { note, .. } = &event.event;
        self.notes.push(note.clone());
    }
}

/// Events without personal data.
#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "parcel")]
enum ParcelEvent {
    Sent,
}

#[derive(Projection, Default)]
#[projection(events = ParcelEvent)]
struct Parcels;

impl Project<ParcelEvent> for Parcels {
    fn project(&mut self, _: &Recorded<ParcelEvent>) {}
}

async fn erasure_rebuilds_affected_read_models<B: Backend>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    let notes = InMemory::<Notes>::new();
    let runtime = Runtime::builder(&engine)
        .projection(notes.clone())
        .projection(InMemory::<Parcels>::new())
        .start()
        .await
        .unwrap();
    for id in ["17", "18"] {
        engine.execute(record(id, registered(id))).await.unwrap();
    }
    let last = engine
        .execute(place_order(1, "17", "for Ada"))
        .await
        .unwrap();
    runtime.wait_for(last.position()).await.unwrap();
    let content = || {
        notes.read(|notes| {
            (
                notes.names["17"].clone(),
                notes.names["18"].clone(),
                notes.notes.clone(),
            )
        })
    };
    let expected =
        |name: &str, note: &str| (name.to_owned(), "18".to_owned(), vec![note.to_owned()]);
    assert_eq!(content(), expected("17", "for Ada"));
    let erased = store.erase("17").await.unwrap();
    engine.evict(&erased.streams);
    let rebuilt = runtime.rebuild_erased(&erased.event_types).await.unwrap();
    assert_eq!(rebuilt, ["notes"]);
    assert_eq!(content(), expected("[redacted]", "[redacted]"));
    let status = runtime.status();
    let builds: Vec<_> = status.iter().map(|status| status.build).collect();
    assert_eq!(builds, [2, 1]);
    runtime.stop().await;
}

async fn concurrent_commands_do_not_conflict<B: Backend>() {
    let place = B::create().await;
    let engine = Engine::new(open(&place).await);
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    let commands = (0..200).map(|number| {
        let engine = engine.clone();
        // With and without personal data, which differ in encryption time.
        let event = match number % 2 {
            0 => registered("Ada"),
            _ => CustomerEvent::Upgraded { plan: number },
        };
        tokio::spawn(async move {
            engine
                .execute(record("17", event))
                .await
                .unwrap()
                .attempts()
        })
    });
    let commands: Vec<_> = commands.collect();
    for command in commands {
        assert_eq!(command.await.unwrap(), 1);
    }
}

/// A document store that counts the documents read.
struct CountingDocuments(MemoryDocuments, Arc<AtomicU64>);

#[async_trait]
impl DocumentStore for CountingDocuments {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        self.0.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.1.fetch_add(keys.len() as u64, SeqCst);
        self.0.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.0.scan_documents(scan).await
    }
}

#[tokio::test]
async fn page_reads_one_document_once_keys_are_cached() {
    let reads = Arc::new(AtomicU64::new(0));
    let keys = CountingDocuments(MemoryDocuments::new(), reads.clone());
    let keys = DocumentKeys::open(keys, master()).await.unwrap();
    let store = PersonalDataStore::open(MemoryStore::new(), keys)
        .await
        .unwrap();
    for subject in 0..20 {
        let events = (0..10).map(|number| noted(subject, number)).collect();
        let stream = format!("order-{subject}").parse().unwrap();
        let append = Append::stream(stream, ExpectedVersion::Any, events);
        store.append(append).await.unwrap();
    }
    let before = reads.load(SeqCst);
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert_eq!(page.events.len(), 200);
    assert_eq!(reads.load(SeqCst) - before, 1);
}
