//! SQL projections: each event takes effect exactly once.
//!
//! The crate that includes it has a module `adapter` with `Options`, `Store`, and `fresh`, which returns the options of an
//! empty database, or `None` if there is no server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{ConsumerState, FailurePolicy, ProjectionHandle, WaitError};
use factum::store::{Query, Read};
use factum_sql::{
    BoxError, FromRow, Sql, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProject, SqlProjection,
    SqlReadModel, SqlRow,
};
use uuid::Uuid;

use crate::adapter::{Options, Store, fresh};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "tally")]
enum TallyEvent {
    Added { amount: u64 },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "tally", id = u64, event = TallyEvent)]
struct Tally;

impl Apply<TallyEvent> for Tally {
    fn apply(&mut self, _: &TallyEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Tally)]
struct Add {
    #[id]
    tally: u64,
    amount: u64,
}

impl Decide for Add {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Tally) -> Result<Events<TallyEvent>, Self::Error> {
        Ok(TallyEvent::Added {
            amount: self.amount,
        }
        .into())
    }
}

/// Stores every event under its position, so that an event that takes effect twice is an error.
#[derive(Projection, Default)]
#[projection(name = "sums", version = 1, events = TallyEvent)]
struct Sums {
    /// The position at which it fails; 0 for none.
    fails_at: Arc<AtomicU64>,
}

impl SqlProjection for Sums {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        create(db).await
    }
}

impl SqlProject<TallyEvent> for Sums {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        insert(event, 1, db).await?;
        let position = event.record.position.get();
        match self.fails_at.load(SeqCst) {
            fails_at if fails_at == position => Err(format!("no luck at {position}").into()),
            _ => Ok(()),
        }
    }
}

/// The next version, which doubles each amount.
#[derive(Projection)]
#[projection(name = "sums", version = 2, events = TallyEvent)]
struct DoubleSums;

impl SqlProjection for DoubleSums {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        create(db).await
    }
}

impl SqlProject<TallyEvent> for DoubleSums {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        Ok(insert(event, 2, db).await?)
    }
}

async fn create(db: &mut Sql<'_>) -> Result<(), SqlError> {
    db.execute("create table if not exists {added} (position bigint primary key, amount bigint)")
        .await
}

async fn insert(
    event: &Recorded<TallyEvent>,
    factor: i64,
    db: &mut Sql<'_>,
) -> Result<(), SqlError> {
    let TallyEvent::Added { amount } = event.event;
    let insert = db.query("insert into {added} (position, amount) values ($1, $2)");
    let insert = insert
        .bind(event.record.position)
        .bind(amount as i64 * factor);
    assert_eq!(insert.execute().await?, 1);
    Ok(())
}

/// Returns how many events have taken effect, and the sum of their amounts.
async fn totals(store: &Store) -> (i64, i64) {
    let sql = "select count(*), cast(coalesce(sum(amount), 0) as bigint) from added";
    store.query(sql).fetch_one().await.unwrap()
}

async fn open(options: &Options) -> (Store, Engine) {
    let store = options.clone().open().await.unwrap();
    (store.clone(), Engine::new(store))
}

async fn start(engine: &Engine, model: SqlReadModel) -> Runtime {
    let started = Runtime::builder(engine).projection(model).start().await;
    started.unwrap()
}

fn sums(runtime: &Runtime) -> ProjectionHandle {
    runtime.projection::<Sums>().unwrap()
}

async fn add(engine: &Engine, from: u64, to: u64) -> Position {
    let mut position = Position::ZERO;
    for amount in from..=to {
        let receipt = engine
            .execute(Add {
                tally: amount % 3,
                amount,
            })
            .await
            .unwrap();
        position = receipt.position();
    }
    position
}

fn few_retries() -> RetryPolicy {
    RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    }
}

fn stop_error(error: WaitError) -> (String, String) {
    match error {
        WaitError::Stopped { name, error, .. } => (name, error),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn reader_sees_its_own_write_after_waiting() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let runtime = start(&engine, store.read_model(Sums::default())).await;
    for amount in 1..=20 {
        let position = add(&engine, amount, amount).await;
        runtime.wait_for(position).await.unwrap();
        assert_eq!(totals(&store).await.0, amount as i64);
    }
    runtime.stop().await;
}

#[tokio::test]
async fn restart_continues_after_the_checkpoint() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    for round in 1..=3_u64 {
        let (store, engine) = open(&options).await;
        let last = add(&engine, round * 10 - 9, round * 10).await;
        let runtime = start(&engine, store.read_model(Sums::default())).await;
        runtime.wait_for(last).await.unwrap();
        let total = (round * 10) as i64;
        assert_eq!(totals(&store).await, (total, total * (total + 1) / 2));
        runtime.stop().await;
        store.close().await;
    }
}

#[tokio::test]
async fn restart_without_new_events_is_live() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    for round in 1..=2 {
        let (store, engine) = open(&options).await;
        let last = if round == 1 {
            add(&engine, 1, 5).await
        } else {
            Position::new(5)
        };
        let runtime = start(&engine, store.read_model(Sums::default())).await;
        runtime.wait_for(last).await.unwrap();
        let status = &runtime.status()[0];
        assert_eq!(
            (status.state, status.lag()),
            (ConsumerState::Live, 0),
            "round {round}"
        );
        runtime.stop().await;
        store.close().await;
    }
}

#[tokio::test]
async fn stopped_projection_skips_nothing() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let last = add(&engine, 1, 50).await;
    let fails_at = Arc::new(AtomicU64::new(30));
    let model = store.read_model(Sums {
        fails_at: fails_at.clone(),
    });
    let runtime = Runtime::builder(&engine)
        .projection_with(model, FailurePolicy::Stop)
        .retry(few_retries())
        .start()
        .await
        .unwrap();
    let error = runtime.wait_for(last).await.unwrap_err();
    let cause = "event tally.added at position 30 failed: no luck at 30";
    assert_eq!(stop_error(error), ("sums".to_owned(), cause.to_owned()));
    assert_eq!(totals(&store).await, (29, 29 * 30 / 2));
    assert_eq!(runtime.status()[0].state, ConsumerState::Stopped);

    fails_at.store(0, SeqCst);
    sums(&runtime).resume().await.unwrap();
    runtime.wait_for(last).await.unwrap();
    assert_eq!(totals(&store).await, (50, 50 * 51 / 2));
    assert_eq!(runtime.status()[0].last_error, None);
    // Appends were not affected.
    assert_eq!(add(&engine, 51, 51).await, Position::new(51));
    runtime.stop().await;
}

#[tokio::test]
async fn rebuild_returns_the_same_result() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let last = add(&engine, 1, 30).await;
    let runtime = start(&engine, store.read_model(Sums::default())).await;
    runtime.wait_for(last).await.unwrap();
    let before = totals(&store).await;
    sums(&runtime).rebuild().await.unwrap();
    runtime.wait_for(last).await.unwrap();
    assert_eq!(totals(&store).await, before);
    runtime.stop().await;
}

#[tokio::test]
async fn new_version_is_built_beside_the_old() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let last = add(&engine, 1, 10).await;
    let runtime = start(&engine, store.read_model(Sums::default())).await;
    runtime.wait_for(last).await.unwrap();
    runtime.stop().await;
    assert_eq!(totals(&store).await, (10, 55));
    let runtime = start(&engine, store.read_model(DoubleSums)).await;
    // Readers see the old build until the new one has caught up.
    runtime.wait_for(last).await.unwrap();
    assert_eq!(totals(&store).await.0, 10);
    runtime.wait_until_current().await.unwrap();
    assert_eq!(totals(&store).await, (10, 110));
    runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projection_and_writers_do_not_disturb_each_other() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let (_, other) = open(&options).await;
    let runtime = start(&engine, store.read_model(Sums::default())).await;
    let writers = (0..16_u64).map(|writer| {
        let engine = if writer % 2 == 0 {
            engine.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move { add(&engine, writer * 25 + 1, writer * 25 + 25).await })
    });
    let written = futures_util::future::try_join_all(writers).await.unwrap();
    let last = written.into_iter().max().unwrap();
    assert_eq!(last, Position::new(400));
    runtime.wait_for(last).await.unwrap();
    assert_eq!(totals(&store).await, (400, 400 * 401 / 2));
    let everything = engine.store().read(Read::all(Query::all())).await.unwrap();
    let positions: Vec<u64> = everything
        .events
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(positions, (1..=400).collect::<Vec<_>>());
    runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_process_each_event_once() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let (other_store, other) = open(&options).await;
    let both = [
        start(&engine, store.read_model(Sums::default())).await,
        start(&other, other_store.read_model(Sums::default())).await,
    ];
    let mut last = Position::ZERO;
    for amount in 1..=100 {
        let engine = if amount % 2 == 0 { &engine } else { &other };
        last = add(engine, amount, amount).await;
    }
    for runtime in &both {
        runtime.wait_for(last).await.unwrap();
    }
    assert_eq!(totals(&store).await, (100, 5050));

    // One rebuilds, and both wait.
    sums(&both[0]).rebuild().await.unwrap();
    last = add(&other, 101, 101).await;
    for runtime in &both {
        runtime.wait_for(last).await.unwrap();
    }
    assert_eq!(totals(&other_store).await, (101, 5151));
    for runtime in both {
        assert_eq!(runtime.status()[0].last_error, None);
        runtime.stop().await;
    }
}

#[tokio::test]
async fn older_version_leaves_a_newer_read_model_alone() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let last = add(&engine, 1, 10).await;
    let newer = start(&engine, store.read_model(DoubleSums)).await;
    newer.wait_for(last).await.unwrap();
    newer.stop().await;
    let older = Runtime::builder(&engine)
        .projection(store.read_model(Sums::default()))
        .retry(few_retries())
        .start()
        .await
        .unwrap();
    let error = older.wait_for(last).await.unwrap_err();
    assert_eq!(
        stop_error(error).1,
        "the active build of \"sums\" has version 2; this code has version 1: update the program"
    );
    assert_eq!(totals(&store).await, (10, 110));
    older.stop().await;
}

/// A value of each type, and parameters in another order than their numbers.
#[derive(Projection)]
#[projection(name = "values", events = TallyEvent)]
struct Values;

/// A row of a struct, by the names of its columns.
#[derive(Debug, PartialEq)]
struct Row {
    flag: bool,
    small: i32,
    large: i64,
    real: f64,
    label: String,
    data: Vec<u8>,
    id: Uuid,
}

const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

impl Row {
    fn of(amount: u64) -> Self {
        Self {
            flag: amount.is_multiple_of(2),
            small: amount as i32,
            large: i64::MAX - amount as i64,
            real: amount as f64 / 4.0,
            label: format!("'{amount}' ä"),
            data: vec![0, amount as u8, 255],
            id: ID,
        }
    }
}

impl FromRow for Row {
    fn from_row(row: &SqlRow) -> Result<Self, SqlError> {
        Ok(Self {
            flag: row.get("flag")?,
            small: row.get("small")?,
            large: row.get("large")?,
            real: row.get("real")?,
            label: row.get("label")?,
            data: row.get("data")?,
            id: row.get("id")?,
        })
    }
}

impl SqlProjection for Values {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {sample} (
                 position bigint primary key, flag boolean, small integer, large bigint, real double precision,
                 label text, data bytea, id uuid, missing text
             );
             create index if not exists {sample_by_label} on {sample} (label)",
        )
        .await
    }
}

impl SqlProject<TallyEvent> for Values {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        let TallyEvent::Added { amount } = event.event;
        let row = Row::of(amount);
        let insert = db.query(
            "insert into {sample} (id, data, label, real, large, small, flag, position, missing)
             values ($8, $7, $6, $5, $4, $3, $2, $1, $9)",
        );
        let changed = insert
            .bind(event.record.position)
            .bind(row.flag)
            .bind(row.small)
            .bind(row.large)
            .bind(row.real)
            .bind(&row.label)
            .bind(&row.data)
            .bind(row.id)
            .bind(None::<String>)
            .execute()
            .await?;
        assert_eq!(changed, 1);
        let same = db.query("select * from {sample} where $1 = label and id = $2");
        let same: Option<Row> = same.bind(&row.label).bind(row.id).fetch_optional().await?;
        assert_eq!(same, Some(row));
        let none = db
            .query("select missing from {sample}")
            .fetch_one::<Option<String>>();
        assert_eq!(none.await?, None);
        let absent = db.query("select label from {sample} where position = 0");
        assert_eq!(absent.fetch_optional::<String>().await?, None);
        let bumped =
            db.query("update {sample} set small = small + $1 where position = $2 returning small");
        let bumped: i32 = bumped
            .bind(1)
            .bind(event.record.position)
            .fetch_one()
            .await?;
        assert_eq!(bumped, amount as i32 + 1);
        Ok(())
    }
}

#[tokio::test]
async fn values_of_all_types_are_bound_and_read() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let last = add(&engine, 1, 3).await;
    let runtime = start(&engine, store.read_model(Values)).await;
    runtime.wait_for(last).await.unwrap();
    let values = runtime.projection::<Values>().unwrap();
    assert_eq!(values.dead_letters().await.unwrap(), []);
    let sql = "select label, small, missing from sample order by position";
    let rows: Vec<(String, i32, Option<String>)> = store.query(sql).fetch_all().await.unwrap();
    let expected = |amount: i32| (format!("'{amount}' ä"), amount + 1, None);
    assert_eq!(rows, [expected(1), expected(2), expected(3)]);
    let wrong_type = store.query(sql).fetch_one::<i64>().await.unwrap_err();
    assert_eq!(
        wrong_type.to_string(),
        "cannot decode column \"label\": found text, expected an integer"
    );
    let no_value = store.query("select position from sample where position = $1");
    assert!(no_value.fetch_one::<i64>().await.is_err());
    let no_row = store
        .query("select position from sample where position = $1")
        .bind(9_i64);
    let no_row = no_row.fetch_one::<i64>().await.unwrap_err();
    assert!(matches!(no_row, SqlError::NoRow), "{no_row}");
    let write = store.query("delete from sample__1").execute().await;
    assert!(write.is_err(), "a query cannot write");
    runtime.stop().await;
}

/// Code of an application, which works with every database.
async fn count<D: SqlDatabase + Clone>(database: D) -> i64 {
    let model = database.read_model(Sums::default());
    let mut view = model.view().await.unwrap().unwrap();
    let count = view.query("select count(*) from {added}").fetch_one().await;
    let same = database
        .query("select count(*) from added")
        .fetch_one::<i64>();
    assert_eq!(view.position().get() as i64, same.await.unwrap());
    count.unwrap()
}

#[tokio::test]
async fn view_is_at_one_position() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options).await;
    let model = store.read_model(Sums::default());
    assert!(model.view().await.unwrap().is_none());
    let runtime = start(&engine, model.clone()).await;
    let last = add(&engine, 1, 10).await;
    runtime.wait_for(last).await.unwrap();
    let mut view = model.view().await.unwrap().unwrap();
    assert_eq!(count(store.clone()).await, 10);
    let last = add(&engine, 11, 20).await;
    runtime.wait_for(last).await.unwrap();
    for _ in 0..2 {
        let seen = view
            .query("select count(*) from {added}")
            .fetch_one::<i64>();
        assert_eq!(seen.await.unwrap(), 10);
    }
    assert_eq!(view.position(), Position::new(10));
    assert_eq!(count(store.clone()).await, 20);
    runtime.stop().await;
}

#[tokio::test]
async fn more_views_than_connections_wait_for_each_other() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, engine) = open(&options.clone().readers(2)).await;
    let runtime = start(&engine, store.read_model(Sums::default())).await;
    let last = add(&engine, 1, 5).await;
    runtime.wait_for(last).await.unwrap();
    let model = store.read_model(Sums::default());
    let counts = (0..32).map(async |_| {
        let mut view = model.view().await.unwrap().unwrap();
        let count = view
            .query("select count(*) from {added}")
            .fetch_one::<i64>();
        count.await.unwrap()
    });
    let counts = futures_util::future::join_all(counts).await;
    assert_eq!(counts, [5; 32]);
    runtime.stop().await;
}
