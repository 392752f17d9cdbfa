//! Inline projections get the same events from an append as from a later read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use factum::Position;
use factum::engine::RetryPolicy;
use factum::event::{LegacyEvent, UpcastError};
use factum::prelude::*;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore, PersonalField, Subject};
use factum::runtime::{ConsumerState, FailurePolicy, checkpoint};
use factum::store::Metadata;
use factum::store::{
    Append, ContentType, DocumentChanges, EventStore as _, ExpectedVersion, IdempotencyKey,
    NewEvent, RecordedEvent, Tag,
};
use factum_postgres::PostgresOptions;
use factum_sqlite::{
    BoxError, Sql, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProject, SqlProjection,
    SqliteOptions,
};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "guest", legacy = [ArrivedTogether], retired = ["guest.nudged"])]
enum GuestEvent {
    #[event(version = 3, upcast = [rename_name, add_room])]
    Arrived {
        name: String,
        room: u32,
    },
    Left {
        room: u32,
    },
}

#[derive(Event, Debug, Serialize, Deserialize)]
#[event(name = "guest.came_with")]
struct ArrivedTogether {
    names: [String; 2],
}

impl LegacyEvent<GuestEvent> for ArrivedTogether {
    fn into_current(self) -> Result<Events<GuestEvent>, UpcastError> {
        let both = self.names.map(|name| GuestEvent::Arrived { name, room: 2 });
        Ok(both.into())
    }
}

fn rename_name(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("no object")?;
    let who = fields.remove("who").ok_or("missing name")?;
    fields.insert("name".to_owned(), who);
    Ok(old)
}

fn add_room(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("no object")?;
    fields.insert("room".to_owned(), json!(1));
    Ok(old)
}

/// The stored event of each current event, by position and current event.
type Observed = Arc<Mutex<BTreeMap<(u64, String), RecordedEvent>>>;

struct Observer<const V: u32>(Observed);

impl<const V: u32> Projection for Observer<V> {
    type Events = GuestEvent;
    const NAME: &'static str = "observer";
    const VERSION: u32 = V;
}

impl<const V: u32> Observer<V> {
    fn record(&self, event: &Recorded<GuestEvent>) {
        let key = (event.record.position.get(), format!("{:?}", event.event));
        self.0.lock().unwrap().insert(key, event.record.clone());
    }
}

impl<const V: u32> SqlProjection for Observer<V> {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {observed} (number bigint)")
            .await
    }
}

impl<const V: u32> SqlProject<GuestEvent> for Observer<V> {
    async fn project(&self, event: &Recorded<GuestEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        self.record(event);
        Ok(())
    }
}

/// Version 2 of the observer, as long as it processes no event.
#[derive(Projection)]
#[projection(name = "observer", version = 2, events = GuestEvent)]
struct Failing;

impl SqlProjection for Failing {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {observed} (number bigint)")
            .await
    }
}

impl SqlProject<GuestEvent> for Failing {
    async fn project(&self, _: &Recorded<GuestEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        Err("not yet".into())
    }
}

/// Creates the build of version 1 in an empty store. After that, appends update it.
async fn create_build(store: &(impl SqlDatabase + Clone)) {
    let engine = Engine::new(store.clone());
    let model = store.read_model(Observer::<1>(Observed::default()));
    let runtime = Runtime::builder(&engine)
        .projection(model)
        .start()
        .await
        .unwrap();
    let mut status = runtime.projection::<Observer<1>>().unwrap().watch();
    let live = status.wait_for(|status| status.state == ConsumerState::Live);
    live.await.unwrap();
    runtime.stop().await;
}

/// Creates the build of version 2, and appends an event. The append first processes all earlier events.
async fn read_again(store: &(impl SqlDatabase + Clone)) {
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection_with(store.read_model(Failing), FailurePolicy::Stop)
        .retry(RetryPolicy::NEVER)
        .start()
        .await
        .unwrap();
    let mut status = runtime.projection::<Failing>().unwrap().watch();
    let stopped = status.wait_for(|status| status.last_error.is_some());
    assert_eq!(stopped.await.unwrap().building, Some((2, Position::ZERO)));
    runtime.stop().await;
    let meal = event("meal.served", 1, &json!({}));
    let stream = "meal-last".parse().unwrap();
    let append = Append::stream(stream, ExpectedVersion::Any, vec![meal]);
    store.append(append).await.unwrap();
}

/// Creates the build of version 3 by the runtime of an engine that decrypts personal data.
async fn build_by_runtime(store: &(impl SqlDatabase + Clone), built: &Observed) {
    let keys = DocumentKeys::open(store.clone(), MasterKey::new(&[7; 32])).await;
    let encrypted = PersonalDataStore::open(store.clone(), keys.unwrap()).await;
    let engine = Engine::new(encrypted.unwrap());
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(Observer::<3>(built.clone())))
        .start()
        .await
        .unwrap();
    runtime.wait_until_current().await.unwrap();
    runtime.stop().await;
}

fn event(name: &'static str, schema_version: u32, data: &Value) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        name: name.into(),
        schema_version,
        content_type: ContentType::Json,
        data: data.to_string().into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    }
}

fn personal(mut event: NewEvent, field: &'static str) -> NewEvent {
    event.personal.push(PersonalField {
        field,
        subject: Subject::Stream,
        redacted: "\"[redacted]\"".to_owned(),
    });
    event
}

/// Returns metadata with all fields, and extra fields that look like known fields or have many digits.
fn metadata() -> Arc<Metadata> {
    let numbers = (0..500_u64).map(|turn| f64::from_bits(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).collect();
    let mut metadata = Metadata::default();
    metadata.reason = Some("a \"b\"\u{1}\n".to_owned());
    metadata.correlation_id = Some(Uuid::now_v7());
    metadata.tenant = Some(String::new());
    let mut extra = |key: &str, value| metadata.extra.insert(key.to_owned(), value);
    extra("actor", json!("alice"));
    extra("numbers", json!(numbers));
    extra(
        "nested",
        json!({ "b": [null, 18_446_744_073_709_551_615_u64], "a": -0.0 }),
    );
    Arc::new(metadata)
}

/// Returns concurrent appends of every kind, each to its own streams.
fn appends(round: u32) -> Vec<Append> {
    let stream = |number: u32| format!("guest-{round}-{number}").parse().unwrap();
    let old = personal(event("guest.arrived", 1, &json!({ "who": "ada" })), "who");
    let mut tagged = event("guest.left", 1, &json!({ "room": round }));
    let tag = |value: &str| Tag::new("room", value).unwrap();
    tagged.tags = vec![tag("b"), tag("a"), tag("b")];
    let mut with_metadata = event("guest.left", 1, &json!({ "room": 8 }));
    with_metadata.metadata = metadata();
    let mut same = event("guest.left", 1, &json!({ "room": 9 }));
    same.metadata = with_metadata.metadata.clone();
    let mut mistaken = event("guest.left", 1, &json!({ "room": 10 }));
    mistaken.content_type = ContentType::Other("application/json".into());
    let split = event("guest.came_with", 1, &json!({ "names": ["bob", "eve"] }));
    let other = event("meal.served", 1, &json!({}));
    let current = event("guest.arrived", 3, &json!({ "name": "dan", "room": 3 }));
    let one = |number, events| Append::stream(stream(number), ExpectedVersion::Any, events);
    vec![
        one(1, vec![old, tagged]),
        one(2, vec![with_metadata, same]).and_stream(
            stream(3),
            ExpectedVersion::Any,
            vec![mistaken],
        ),
        one(4, vec![])
            .and_stream(stream(5), ExpectedVersion::Any, vec![other])
            .and_stream(
                stream(6),
                ExpectedVersion::NoStream,
                vec![split, event("guest.nudged", 1, &json!({}))],
            )
            .with_changes(DocumentChanges::new().put(format!("own/{round}"), "1")),
        one(7, vec![personal(current, "name")])
            .idempotency_key(IdempotencyKey::new(format!("key {round}"), b"dan")),
        one(8, vec![event("meal.served", 1, &json!({}))]),
    ]
}

/// The number of current events of each round.
const EVENTS_PER_ROUND: usize = 8;

async fn fill<S: factum::store::Store + Clone>(store: &S, other: &S) {
    let keys = DocumentKeys::open(store.clone(), MasterKey::new(&[7; 32])).await;
    let encrypted = PersonalDataStore::open(store.clone(), keys.unwrap()).await;
    let encrypted = encrypted.unwrap();
    for round in 0..8 {
        let appends = appends(round);
        if round >= 4 {
            // After a write of another node, the store checks conditions in the database.
            let others = event("meal.served", 1, &json!({}));
            let stream = format!("meal-{round}").parse().unwrap();
            let append = Append::stream(stream, ExpectedVersion::Any, vec![others]);
            other.append(append).await.unwrap();
        }
        let results = appends
            .iter()
            .map(|append| encrypted.append(append.clone()));
        for result in futures_util::future::join_all(results).await {
            assert!(!result.unwrap().repeated);
        }
        // The checkpoint is at the head, even if the last append contains no event of the projection.
        let position = checkpoint(store, "observer").await.unwrap();
        assert_eq!(position, *store.watch().borrow());
        // A repeated append returns its first result and has no further effect.
        assert!(encrypted.append(appends[3].clone()).await.unwrap().repeated);
    }
}

fn compare(inline: &Observed, read: &Observed) {
    let (inline, read) = (inline.lock().unwrap(), read.lock().unwrap());
    assert_eq!(read.len(), 8 * EVENTS_PER_ROUND);
    for (key, record) in &*read {
        assert_eq!(inline.get(key), Some(record), "{key:?}");
    }
    assert_eq!(inline.len(), read.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_inline_projection_gets_the_stored_events() {
    let database = databases::file();
    let (inline, read) = (Observed::default(), Observed::default());
    let options = SqliteOptions::new(&database.url);
    let store = options.clone().inline(Observer::<1>(inline.clone())).open();
    let other = options.clone().inline(Observer::<1>(Observed::default()));
    let (store, other) = (store.await.unwrap(), other.open().await.unwrap());
    create_build(&store).await;
    fill(&store, &other).await;
    let reader = options.clone().inline(Observer::<2>(read.clone())).open();
    read_again(&reader.await.unwrap()).await;
    compare(&inline, &read);
    let built = Observed::default();
    let builder = options.inline(Observer::<3>(built.clone())).open();
    build_by_runtime(&builder.await.unwrap(), &built).await;
    compare(&inline, &built);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_inline_projection_gets_the_stored_events() {
    let Some(database) = databases::schema("inline_events") else {
        return;
    };
    let (server, schema) = database.url.split_once('#').unwrap();
    let (inline, read) = (Observed::default(), Observed::default());
    let options = PostgresOptions::new(server.parse().unwrap()).schema(schema);
    let store = options.clone().inline(Observer::<1>(inline.clone())).open();
    let other = options.clone().inline(Observer::<1>(Observed::default()));
    let (store, other) = (store.await.unwrap(), other.open().await.unwrap());
    create_build(&store).await;
    fill(&store, &other).await;
    let reader = options.clone().inline(Observer::<2>(read.clone())).open();
    read_again(&reader.await.unwrap()).await;
    compare(&inline, &read);
    let built = Observed::default();
    let builder = options.inline(Observer::<3>(built.clone())).open();
    build_by_runtime(&builder.await.unwrap(), &built).await;
    compare(&inline, &built);
}
