//! Moved or altered ciphertext is rejected, and decrypted data is upcast like any other.

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

use std::sync::Arc;

use factum::event::{DecodeErrorKind, UpcastError};
use factum::prelude::*;
use factum::privacy::{PersonalField, Subject};
use factum::store::{
    Append, AppendError, ContentType, DocumentChanges, DocumentStore, EventStore, ExpectedVersion,
    IdempotencyKey, InvalidAppend, NewEvent, Query, Read, RecordedEvent, Scan, Snapshot,
    SnapshotStore as _, StoreError,
};
use factum::{StreamId, Version};
use factum_testkit::Backend;
use serde_json::{Value, json};
use uuid::Uuid;

use people::*;

on_every_store!(
    moved_ciphertext_is_rejected,
    altered_ciphertext_is_rejected,
    undecryptable_event_is_dead_lettered,
    append_rejects_ciphertext_lookalikes,
    upcaster_receives_decrypted_data,
    idempotency_fingerprint_cannot_be_guessed,
    erasure_clears_plain_text_snapshot,
);

fn stream() -> StreamId {
    "customer-17".parse().unwrap()
}

/// Copies a stored event, still encrypted, so that it can be appended again.
fn copy(event: RecordedEvent) -> NewEvent {
    NewEvent {
        id: event.id,
        name: event.name,
        schema_version: event.schema_version,
        content_type: event.content_type,
        data: event.data,
        tags: event.tags,
        metadata: event.metadata,
        personal: Vec::new(),
    }
}

async fn append(store: &impl EventStore, event: NewEvent) -> Result<(), AppendError> {
    let append = Append::stream(stream(), ExpectedVersion::Any, vec![event]);
    store.append(append).await.map(drop)
}

async fn read(store: &impl EventStore) -> Result<Vec<RecordedEvent>, StoreError> {
    let page = store.read(Read::all(Query::all())).await?;
    Ok(page.events)
}

/// Copies all documents, among them the keys and the identity of the log.
async fn copy_documents(source: &impl DocumentStore, target: &impl DocumentStore) {
    let documents = source.scan_documents(Scan::prefix("")).await.unwrap();
    assert!(!documents.is_empty());
    let changes = documents
        .into_iter()
        .fold(DocumentChanges::new(), |changes, document| {
            changes.put(document.key, document.value)
        });
    target.change_documents(changes).await.unwrap();
}

/// Returns the reason why the last event cannot be decrypted.
async fn reason(store: &impl EventStore) -> String {
    let last = read(store).await.unwrap().pop().unwrap();
    let error = last.decode::<CustomerEvent>().unwrap_err();
    assert!(
        matches!(error.kind, DecodeErrorKind::Encrypted(_)),
        "{error:?}"
    );
    error.kind.to_string()
}

/// Returns a store with one event, and a copy of that event as it is encrypted.
async fn store_with_event<B: Backend>(place: &B) -> (Encrypted<B>, NewEvent) {
    let store = open(place).await;
    let engine = Engine::new(store.clone());
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    let encrypted = copy(all_events(store.store()).await.remove(0));
    (store, encrypted)
}

async fn moved_ciphertext_is_rejected<B: Backend>() {
    let place = B::create().await;
    let (store, encrypted) = store_with_event(&place).await;
    let other = NewEvent {
        id: Uuid::from_u128(7),
        ..encrypted
    };
    append(store.store(), other).await.unwrap();
    let expected = "field `name` cannot be decrypted: its ciphertext was changed or moved";
    assert_eq!(reason(&store).await, expected);
}

async fn altered_ciphertext_is_rejected<B: Backend>() {
    let flip = |text: &mut Value, at: usize| {
        let mut letters: Vec<char> = text.as_str().unwrap().chars().collect();
        letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        *text = letters.into_iter().collect::<String>().into();
    };
    let swap = |json: &mut Value| {
        let name = json["name"].take();
        json["name"] = json["email"].take();
        json["email"] = name;
    };
    let changes: [&dyn Fn(&mut Value); 6] = [
        &|json| flip(&mut json["name"]["$personal"]["sealed"], 3),
        &|json| flip(&mut json["name"]["$personal"]["sealed"], 40),
        &|json| json["name"]["$personal"]["of"] = "0".repeat(32).into(),
        &|json| json["name"]["$personal"]["v"] = 2.into(),
        &|json| json["name"]["$personal"]["sealed"] = "".into(),
        &swap,
    ];
    for change in changes {
        let place = B::create().await;
        let (store, encrypted) = store_with_event(&place).await;
        let mut json: Value = serde_json::from_slice(&encrypted.data).unwrap();
        change(&mut json);
        let data = json.to_string().into();
        // The id protects the event, so it stays the same. It is stored once in a log.
        let altered_place = B::create().await;
        let raw = altered_place.open().await;
        copy_documents(store.store(), &raw).await;
        append(&raw, NewEvent { data, ..encrypted }).await.unwrap();
        let altered = open(&altered_place).await;
        let reason = reason(&altered).await;
        assert!(reason.starts_with("field `"), "{reason}");
        // The original event is still readable.
        let original = read(&store).await.unwrap().remove(0);
        assert_eq!(
            original.decode::<CustomerEvent>().unwrap(),
            registered("Ada")
        );
    }
}

/// The registered names, in order.
#[derive(Projection, Default)]
#[projection(name = "names", events = CustomerEvent)]
struct Names(Vec<String>);

impl Project<CustomerEvent> for Names {
    fn project(&mut self, event: &Recorded<CustomerEvent>) {
        if let CustomerEvent::Registered { name, .. } = &event.event {
            self.0.push(name.clone());
        }
    }
}

async fn undecryptable_event_is_dead_lettered<B: Backend>() {
    let place = B::create().await;
    let (store, encrypted) = store_with_event(&place).await;
    let id = Uuid::from_u128(7);
    append(store.store(), NewEvent { id, ..encrypted })
        .await
        .unwrap();
    let engine = Engine::new(store);
    let bob = engine.execute(record("18", registered("Bob")));
    let last = bob.await.unwrap().position();
    let names = InMemory::<Names>::new();
    let runtime = Runtime::builder(&engine)
        .projection(names.clone())
        .start()
        .await
        .unwrap();
    runtime.wait_for(last).await.unwrap();
    assert_eq!(names.read(|names| names.0.clone()), ["Ada", "Bob"]);
    let entries = runtime
        .projection::<Names>()
        .unwrap()
        .dead_letters()
        .await
        .unwrap();
    let positions: Vec<_> = entries.iter().map(|it| it.position.get()).collect();
    assert_eq!(positions, [2]);
    runtime.stop().await;
}

async fn append_rejects_ciphertext_lookalikes<B: Backend>() {
    let place = B::create().await;
    let store = open(&place).await;
    let event = named(
        &json!({ "name": "Ada", "more": { "$personal": {} } }),
        "name",
    );
    let rejected = append(&store, event).await;
    assert!(matches!(
        rejected,
        Err(AppendError::Invalid(InvalidAppend::NotEncryptable { field, .. })) if field == "more"
    ));
    // Encrypted, the nesting is not visible to the store, and the decrypted event could not be read.
    let deep = (0..127).fold(json!(1), |inner, _| json!([inner]));
    let rejected = append(&store, named(&json!({ "name": deep }), "name")).await;
    assert!(matches!(
        rejected,
        Err(AppendError::Invalid(InvalidAppend::Field(_)))
    ));
    let rejected = append(&store, named(&json!({ "name": "Ada" }), "nick")).await;
    assert!(matches!(
        rejected,
        Err(AppendError::Invalid(InvalidAppend::NotEncryptable { field, .. })) if field == "nick"
    ));
}

/// Returns schema version 1 of an event, with one personal field.
fn named(json: &Value, field: &'static str) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(1),
        name: "guest.named".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: json.to_string().into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: vec![PersonalField {
            field,
            subject: Subject::Stream,
            redacted: "\"[redacted]\"".to_owned(),
        }],
    }
}

#[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "guest.named", version = 2, upcast = split)]
struct Named {
    #[personal]
    first: String,
    #[personal]
    last: Option<String>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of an upcaster"
)]
fn split(old: Value) -> Result<Value, UpcastError> {
    let name = old["name"].as_str().ok_or("no name")?;
    let (first, last) = match name.split_once(' ') {
        Some((first, last)) => (first, Some(last)),
        None => (name, None),
    };
    Ok(json!({ "first": first, "last": last }))
}

async fn upcaster_receives_decrypted_data<B: Backend>() {
    let place = B::create().await;
    let store = open(&place).await;
    let event = named(
        &json!({ "name": "Ada Byron", "size": 18446744073709551615_u64 }),
        "name",
    );
    append(&store, event).await.unwrap();
    let expected = |first: &str, last: Option<&str>| Named {
        first: first.to_owned(),
        last: last.map(str::to_owned),
    };
    let events = read(&store).await.unwrap();
    assert_eq!(
        events[0].decode::<Named>().unwrap(),
        expected("Ada", Some("Byron"))
    );
    // Fields that are not personal keep full integer precision.
    assert!(String::from_utf8_lossy(&events[0].data).contains("18446744073709551615"));
    let _ = store.erase("17").await.unwrap();
    let events = read(&store).await.unwrap();
    assert_eq!(
        events[0].decode::<Named>().unwrap(),
        expected("[redacted]", None)
    );
}

async fn idempotency_fingerprint_cannot_be_guessed<B: Backend>() {
    let place = B::create().await;
    let store = open(&place).await;
    for key in [
        IdempotencyKey::new("a", b"content"),
        IdempotencyKey::versioned("b", "Record", 1, b"content"),
    ] {
        let append = Append::default().idempotency_key(key.clone());
        store.append(append).await.unwrap();
        assert!(store.find(&key).await.unwrap().is_some());
        // Without the secret key the same content has another fingerprint.
        let guess = store.store().find(&key).await;
        assert!(matches!(guess, Err(AppendError::KeyReused { .. })));
    }
}

async fn erasure_clears_plain_text_snapshot<B: Backend>() {
    let place = B::create().await;
    let (store, _) = store_with_event(&place).await;
    assert!(
        store
            .store()
            .load_snapshot(&stream())
            .await
            .unwrap()
            .is_none()
    );
    let old = Snapshot {
        stream: stream(),
        version: Version::new(1),
        position: factum::Position::new(1),
        schema_version: 1,
        data: r#"{"name":"Ada","email":null,"street":"","plan":0}"#.into(),
    };
    store.store().save_snapshot(old).await.unwrap();
    let _ = store.erase("17").await.unwrap();
    let engine = Engine::new(open(&place).await);
    let customer = engine.load::<Customer>(&"17".to_owned()).await.unwrap();
    assert_eq!((&*customer.name, customer.plan), ("[redacted]", 3));
    let cleared = store
        .store()
        .load_snapshot(&stream())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&cleared.data[..], b"null");
}
