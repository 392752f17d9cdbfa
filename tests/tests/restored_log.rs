//! Positions beyond the head of the log: the log was restored from a backup, and readers continue after events that it
//! no longer has. Each of them reports it, and none skips the events that are stored later.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use factum::engine::LoadError;
use factum::prelude::*;
use factum::runtime::{ConsumerHandle, EventHandler, HandlerError, WaitError};
use factum::store::{
    Append, AppendError, Appended, EventStore, ExpectedVersion, IdempotencyKey, NewEvent, Page,
    Query, Read, StoreError, async_trait,
};
use factum::{Position, Version};
use factum_memory::MemoryStore;
use factum_sqlite::{
    BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteOptions, SqliteStore, rusqlite,
};
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Lit { hours: u64 },
}

#[derive(Aggregate, Debug, Clone, Default, Serialize, Deserialize)]
#[aggregate(category = "lamp", id = u64, event = LampEvent, snapshot(every = 2))]
struct Lamp {
    hours: u64,
}

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, event: &LampEvent) {
        let LampEvent::Lit { hours } = event;
        self.hours += hours;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Light {
    #[id]
    id: u64,
    hours: u64,
}

impl Decide for Light {
    type Error = Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Infallible> {
        Ok(LampEvent::Lit { hours: self.hours }.into())
    }
}

async fn light(engine: &Engine, times: u64) -> Position {
    let mut position = Position::ZERO;
    for hours in 1..=times {
        let receipt = engine.execute(Light { id: 1, hours }).await.unwrap();
        position = receipt.position();
    }
    position
}

/// A store whose log can be cut, while its documents and snapshots stay.
#[derive(Clone)]
struct Restorable {
    log: Arc<RwLock<MemoryStore>>,
    rest: MemoryStore,
    /// The head that watchers see; `None` for that of the log.
    known_head: Option<watch::Sender<Position>>,
}

impl Restorable {
    fn new() -> Self {
        Self {
            log: Arc::new(RwLock::new(MemoryStore::new())),
            rest: MemoryStore::new(),
            known_head: None,
        }
    }

    /// Returns a handle that has not been notified of any event.
    fn lagging(&self) -> Self {
        Self {
            known_head: Some(watch::Sender::new(Position::ZERO)),
            ..self.clone()
        }
    }

    fn log(&self) -> MemoryStore {
        self.log.read().unwrap().clone()
    }

    /// Keeps the first `count` events.
    async fn restore(&self, count: usize) {
        let restored = MemoryStore::new();
        let kept = self.log().read(Read::all(Query::all()).limit(count)).await;
        for event in kept.unwrap().events {
            let stream = event.stream.clone();
            let event = NewEvent {
                id: event.id,
                name: event.name,
                schema_version: event.schema_version,
                content_type: event.content_type,
                data: event.data,
                tags: event.tags,
                metadata: event.metadata,
                personal: Vec::new(),
            };
            let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
            restored.append(append).await.unwrap();
        }
        *self.log.write().unwrap() = restored;
    }
}

#[async_trait]
impl EventStore for Restorable {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.log().append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.log().read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.log().find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        match &self.known_head {
            Some(head) => head.subscribe(),
            None => self.log().watch(),
        }
    }
}

factum::store::delegate!(documents, [] Restorable, |this| this.rest);
factum::store::delegate!(snapshots, [] Restorable, |this| this.rest);

#[derive(Projection, Default)]
#[projection(name = "hours", events = LampEvent)]
struct Hours(u64);

impl Project<LampEvent> for Hours {
    fn project(&mut self, event: &Recorded<LampEvent>) {
        let LampEvent::Lit { hours } = event.event;
        self.0 += hours;
    }
}

fn assert_beyond(error: &StoreError, position: u64, head: u64) {
    let (position, head) = (Position::new(position), Position::new(head));
    let is_expected = matches!(error, StoreError::BeyondHead { position: p, head: h }
        if (*p, *h) == (position, head));
    assert!(is_expected, "{error:?}");
    assert!(error.to_string().contains(&position.to_string()), "{error}");
}

#[tokio::test]
async fn subscription_beyond_head_is_an_error() {
    let engine = Engine::new(MemoryStore::new());
    light(&engine, 2).await;
    let mut subscription = engine.subscribe(Query::all(), Position::new(5));
    for _ in 0..2 {
        let page = timeout(LONG, subscription.next_page()).await.unwrap();
        assert_beyond(&page.unwrap_err(), 5, 2);
    }
    let mut at_head = engine.subscribe(Query::all(), Position::new(2));
    light(&engine, 1).await;
    assert_eq!(at_head.next_page().await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn state_at_position_beyond_head_is_an_error() {
    let engine = Engine::new(MemoryStore::new());
    light(&engine, 2).await;
    let load = engine.load::<Lamp>(&1);
    assert_eq!(load.at_position(Position::new(2)).await.unwrap().hours, 3);
    let error = engine.load::<Lamp>(&1).at_position(Position::new(3)).await;
    let Err(LoadError::Store(error)) = error else {
        panic!("{error:?}")
    };
    assert_beyond(&error, 3, 2);
}

#[tokio::test]
async fn wait_for_position_beyond_head_is_an_error() {
    let engine = Engine::new(MemoryStore::new());
    let builder = Runtime::builder(&engine).projection(InMemory::<Hours>::new());
    let runtime = builder.start().await.unwrap();
    let head = light(&engine, 2).await;
    runtime.wait_for(head).await.unwrap();
    let waited = timeout(LONG, runtime.wait_for(Position::new(3))).await;
    let expected = WaitError::BeyondHead {
        name: "hours".into(),
        position: Position::new(3),
        head,
    };
    assert_eq!(waited.unwrap(), Err(expected));
    runtime.stop().await;
}

#[tokio::test]
async fn live_query_beyond_head_ends_with_an_error() {
    let engine = Engine::new(MemoryStore::new());
    light(&engine, 2).await;
    let model = InMemory::<Hours>::new();
    // The query starts before the runtime.
    let mut live = pin!(model.live_after(Position::new(9), |hours| hours.0));
    let builder = Runtime::builder(&engine).projection(model.clone());
    let runtime = builder.start().await.unwrap();
    let next = timeout(LONG, live.next()).await.unwrap();
    let is_expected = matches!(&next, Some(Err(WaitError::BeyondHead { position, .. }))
        if *position == Position::new(9));
    assert!(is_expected, "{next:?}");
    assert_eq!(live.next().await, None);
    runtime.stop().await;
}

/// A handle may not know the newest events of another node yet; that is not an error.
#[tokio::test]
async fn lagging_handle_waits_for_events_of_other_nodes() {
    let store = Restorable::new();
    let head = light(&Engine::new(store.clone()), 3).await;
    let lagging = store.lagging();
    let engine = Engine::new(lagging.clone());
    let model = InMemory::<Hours>::new();
    let mut live = pin!(model.live_after(Position::new(1), |hours| hours.0));
    let mut subscription = engine.subscribe(Query::all(), head);
    let builder = Runtime::builder(&engine).projection(model.clone());
    let (runtime, handled) = with_handler(builder).await;
    timeout(LONG, runtime.wait_for(head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(live.next().await.unwrap().unwrap().0, 6);
    drop(handled);
    let new = light(&Engine::new(store), 1).await;
    lagging.known_head.unwrap().send_replace(new);
    let page = timeout(LONG, subscription.next_page()).await.unwrap();
    assert_eq!(page.unwrap().events.len(), 1);
    runtime.stop().await;
}

struct Record(mpsc::UnboundedSender<u64>);

impl EventHandler<LampEvent> for Record {
    async fn handle(&self, event: &Recorded<LampEvent>) -> Result<(), HandlerError> {
        let _ = self.0.send(event.record.position.get());
        Ok(())
    }
}

async fn with_handler(
    builder: factum::runtime::RuntimeBuilder,
) -> (Runtime, mpsc::UnboundedReceiver<u64>) {
    let (sender, handled) = mpsc::unbounded_channel();
    let builder = builder.handler("record", Record(sender), StartFrom::Beginning);
    (builder.start().await.unwrap(), handled)
}

/// Waits for `position`, which must fail because the checkpoint is beyond the head. Returns the error.
async fn assert_stopped(consumer: &ConsumerHandle, position: Position) -> String {
    let waited = timeout(LONG, consumer.wait_for(position)).await.unwrap();
    let Err(WaitError::Stopped { error, .. }) = waited else {
        panic!("{waited:?}")
    };
    assert!(error.contains("beyond the head of the log"), "{error}");
    error
}

#[tokio::test]
async fn handler_with_checkpoint_beyond_head_stops() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = open(&file, false).await;
    let engine = Engine::new(store.clone());
    let (runtime, mut handled) = with_handler(Runtime::builder(&engine)).await;
    runtime.wait_for(light(&engine, 4).await).await.unwrap();
    runtime.stop().await;
    store.close().await;
    for position in 1..=4 {
        assert_eq!(handled.recv().await, Some(position));
    }

    restore(&file, 2);
    let store = open(&file, false).await;
    let engine = Engine::new(store.clone());
    // An event is stored before the handler starts.
    let third = light(&engine, 1).await;
    let (runtime, _) = with_handler(Runtime::builder(&engine)).await;
    let handler = runtime.handler("record").unwrap();
    let error = assert_stopped(&handler, third).await;
    let (checkpoint, head) = (error.contains("checkpoint 4"), error.contains("log: 3;"));
    assert!(checkpoint && head, "{error}");
    handler.wait_for(Position::new(2)).await.unwrap();
    // The log passes the checkpoint with other events.
    let head = light(&engine, 3).await;
    assert_stopped(&handler, head).await;
    runtime.stop().await;

    // It stays stopped after a restart, and continues with the events after the backup if a user wants it.
    let (runtime, mut handled) = with_handler(Runtime::builder(&engine)).await;
    let handler = runtime.handler("record").unwrap();
    assert_stopped(&handler, head).await;
    handler.resume().await.unwrap();
    timeout(LONG, handler.wait_for(head))
        .await
        .unwrap()
        .unwrap();
    for position in 3..=6 {
        assert_eq!(handled.recv().await, Some(position));
    }
    runtime.stop().await;
    store.close().await;
}

#[tokio::test]
async fn state_beyond_restored_log_is_loaded_again() {
    let store = Restorable::new();
    let engine = Engine::new(store.clone());
    light(&engine, 5).await;
    let snapshot = async {
        while factum::store::SnapshotStore::load_snapshot(&store, &"lamp-1".parse().unwrap())
            .await
            .unwrap()
            .is_none_or(|snapshot| snapshot.version < Version::new(4))
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, snapshot).await.unwrap();
    store.restore(2).await;
    // The first engine has a cached state, the second one a snapshot.
    for engine in [&engine, &Engine::new(store.clone())] {
        let lamp = engine.load::<Lamp>(&1).await.unwrap();
        assert_eq!((lamp.hours, lamp.version()), (3, Version::new(2)));
        let lamp = engine.load::<Lamp>(&1).at_version(2).await.unwrap();
        assert_eq!(lamp.hours, 3);
    }

    // Other streams have moved the head past the position of the state.
    let engine = Engine::new(store.clone());
    for _ in 0..3 {
        engine.execute(Light { id: 1, hours: 1 }).await.unwrap();
    }
    store.restore(2).await;
    for id in 2..6 {
        engine.execute(Light { id, hours: 1 }).await.unwrap();
    }
    let receipt = engine.execute(Light { id: 1, hours: 10 }).await.unwrap();
    assert_eq!(receipt.events()[0].version, Version::new(3));
    for engine in [&engine, &Engine::new(store.clone())] {
        assert_eq!(engine.load::<Lamp>(&1).await.unwrap().hours, 13);
    }
}

#[derive(Projection)]
#[projection(name = "lamps", events = LampEvent)]
struct Lamps;

impl SqlProjection for Lamps {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {lamp} (position bigint not null)")
            .await
    }
}

impl SqlProject<LampEvent> for Lamps {
    async fn project(&self, event: &Recorded<LampEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let insert = db.query("insert into {lamp} (position) values ($1)");
        insert.bind(event.record.position).execute().await?;
        Ok(())
    }
}

async fn positions(store: &SqliteStore) -> Vec<i64> {
    let select = store.query("select position from lamp order by position");
    select.fetch_all::<i64>().await.unwrap()
}

async fn open(file: &Path, is_inline: bool) -> SqliteStore {
    let options = SqliteOptions::new(file);
    match is_inline {
        true => options.inline(Lamps).open().await.unwrap(),
        false => options.open().await.unwrap(),
    }
}

/// Restores a backup of the events alone, which has the first `count` events.
fn restore(file: &Path, count: u64) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let delete = "delete from factum_event where position > $1";
    connection.execute(delete, [count as i64]).unwrap();
}

async fn table_with_checkpoint_beyond_head(is_inline: bool) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = open(&file, is_inline).await;
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(Lamps));
    let runtime = builder.start().await.unwrap();
    runtime.wait_for(Position::ZERO).await.unwrap();
    runtime.wait_for(light(&engine, 5).await).await.unwrap();
    runtime.stop().await;
    store.close().await;

    restore(&file, 3);
    let store = open(&file, is_inline).await;
    let engine = Engine::new(store.clone());
    let model = store.read_model(Lamps);
    let mut live = pin!(model.live_after(Position::new(5), |mut view| async move {
        view.query("select count(*) from {lamp}")
            .fetch_one::<i64>()
            .await
    }));
    let next = timeout(LONG, live.next()).await.unwrap();
    assert_beyond(&next.unwrap().unwrap_err(), 5, 3);
    assert!(live.next().await.is_none());

    let runtime = Runtime::builder(&engine).projection(store.read_model(Lamps));
    let runtime = runtime.start().await.unwrap();
    let lamps = runtime.projection::<Lamps>().unwrap();
    let head = light(&engine, 1).await;
    assert_stopped(&lamps, head).await;
    // The log passes the checkpoint.
    let head = head.max(light(&engine, 4).await);
    assert_stopped(&lamps, head).await;
    lamps.resume().await.unwrap();
    assert_stopped(&lamps, head).await;
    assert_eq!(positions(&store).await, [1, 2, 3, 4, 5]);
    timeout(LONG, lamps.rebuild()).await.unwrap().unwrap();
    timeout(LONG, lamps.wait_for(head)).await.unwrap().unwrap();
    assert_eq!(positions(&store).await, (1..=8).collect::<Vec<_>>());
    runtime.stop().await;
    store.close().await;
}

#[tokio::test]
async fn projection_with_checkpoint_beyond_head_must_be_rebuilt() {
    table_with_checkpoint_beyond_head(false).await;
}

#[tokio::test]
async fn inline_projection_beyond_head_must_be_rebuilt() {
    table_with_checkpoint_beyond_head(true).await;
}

#[tokio::test]
async fn rebuild_is_promoted_below_a_checkpoint_beyond_head() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.db");
    let store = open(&file, false).await;
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(Lamps));
    let runtime = builder.start().await.unwrap();
    runtime.wait_for(light(&engine, 5).await).await.unwrap();
    runtime.stop().await;
    store.close().await;
    restore(&file, 3);
    let store = open(&file, false).await;
    let engine = Engine::new(store.clone());
    let builder = Runtime::builder(&engine).projection(store.read_model(Lamps));
    let runtime = builder.start().await.unwrap();
    let lamps = runtime.projection::<Lamps>().unwrap();
    // The head stays below the checkpoint of the active build.
    timeout(LONG, lamps.rebuild()).await.unwrap().unwrap();
    assert_eq!(positions(&store).await, [1, 2, 3]);
    timeout(LONG, lamps.wait_for(Position::new(3)))
        .await
        .unwrap()
        .unwrap();
    runtime.stop().await;
    store.close().await;
}
