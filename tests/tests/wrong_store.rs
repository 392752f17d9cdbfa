//! A read model whose tables are not in the database of the events is rejected at the start.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use factum::prelude::*;
use factum::runtime::{ConsumerState, StartError, WaitError};
use factum::store::Store;
use factum_memory::MemoryStore;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteStore};
use log::Log;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "bell")]
enum BellEvent {
    Rung,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "bell", id = u8, event = BellEvent)]
struct Bell;

impl Apply<BellEvent> for Bell {
    fn apply(&mut self, _: &BellEvent) {}
}

#[derive(Command, Debug, Serialize)]
#[command(on = Bell)]
struct Ring(#[id] u8);

impl Decide for Ring {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Bell) -> Result<Events<BellEvent>, Self::Error> {
        Ok(BellEvent::Rung.into())
    }
}

#[derive(Projection)]
#[projection(name = "rings", events = BellEvent)]
struct Rings;

impl SqlProjection for Rings {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {ring} (bell text not null)")
            .await
    }
}

impl SqlProject<BellEvent> for Rings {
    async fn project(&self, event: &Recorded<BellEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let insert = db.query("insert into {ring} (bell) values ($1)");
        insert.bind(event.record.stream.key()).execute().await?;
        Ok(())
    }
}

async fn check_rejected(events: impl Store, tables: &SqliteStore) {
    let engine = Engine::new(events);
    let runtime = Runtime::builder(&engine).projection(tables.read_model(Rings));
    let error = runtime.start().await.unwrap_err();
    assert!(matches!(&error, StartError::OtherDatabase { name } if name == "rings"));
    assert_eq!(
        error.to_string(),
        "the read model of projection \"rings\" is in another database than the events; \
         create it from the store of the engine, for example with `store.read_model(…)`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn read_model_in_another_database_is_rejected_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |name| SqliteStore::open(folder.path().join(name)).await.unwrap();
    let (one, other) = (open("one.db").await, open("other.db").await);
    check_rejected(MemoryStore::new(), &one).await;
    check_rejected(other.clone(), &one).await;
    // Another handle of the same file is the same database.
    let same = open("one.db").await;
    let engine = Engine::new(same.clone());
    let runtime = Runtime::builder(&engine).projection(one.read_model(Rings));
    let runtime = runtime.start().await.unwrap();
    let rung = engine.execute(Ring(1)).and_wait(&runtime).await;
    rung.unwrap();
    let rings: i64 = same
        .query("select count(*) from ring")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(rings, 1);
    let left = one.query("select count(*) from factum_document where key like 'database-check/%'");
    assert_eq!(left.fetch_one::<i64>().await.unwrap(), 0);
    runtime.stop().await;
    for store in [one, other, same] {
        store.close().await;
    }
}

#[derive(Projection, Default)]
#[projection(events = BellEvent)]
struct Deafening;

impl Project<BellEvent> for Deafening {
    fn project(&mut self, _: &Recorded<BellEvent>) {
        panic!("too loud");
    }
}

#[tokio::test]
async fn panic_of_a_projection_in_memory_logs_one_true_message() {
    let log = Log::default();
    let run = async {
        let engine = Engine::new(MemoryStore::new());
        let model = factum::runtime::InMemory::<Deafening>::new();
        let runtime = Runtime::builder(&engine).projection(model);
        let runtime = runtime.start().await.unwrap();
        let receipt = engine.execute(Ring(1)).await.unwrap();
        let waited = runtime.wait_for(receipt.position());
        let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
        assert!(matches!(waited.unwrap(), Err(WaitError::Stopped { .. })));
        assert_eq!(runtime.status()[0].state, ConsumerState::Stopped);
        runtime.stop().await;
    };
    let subscriber = log.subscriber(tracing::Level::WARN, FmtSpan::NONE);
    let _logs = tracing::subscriber::set_default(subscriber);
    run.await;
    let text = log.text();
    let problems: Vec<_> = text.lines().collect();
    let [problem] = &problems[..] else {
        panic!("{text}")
    };
    let expected = "the read model may be inconsistent: panicked: too loud; rebuild it";
    assert!(problem.contains(expected), "{problem}");
}
