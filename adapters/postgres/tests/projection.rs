//! Read models in the schema of the events: each event has its effect exactly once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use factum::prelude::*;
use factum::{FailurePolicy, Position, ProjectionState, RetryPolicy};
use factum::store::{Query, Read};
use factum_postgres::{
    BoxError, PostgresOptions, PostgresProject, PostgresProjection, PostgresStore, Tables,
};

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

/// Keeps every event by its position, so that an event taken twice is an error.
#[derive(Projection, Default)]
#[projection(name = "sums", version = 1, events = TallyEvent)]
struct Sums {
    /// Fails at this position; 0: nowhere.
    fails_at: Arc<AtomicU64>,
}

#[async_trait]
impl PostgresProjection for Sums {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        create(db).await
    }
}

#[async_trait]
impl PostgresProject<TallyEvent> for Sums {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        insert(event, 1, db).await?;
        let position = event.record.position.get();
        match self.fails_at.load(SeqCst) {
            fails_at if fails_at == position => Err(format!("no luck at {position}").into()),
            _ => Ok(()),
        }
    }
}

/// The same, in a form that doubles each amount.
#[derive(Projection)]
#[projection(name = "sums", version = 2, events = TallyEvent)]
struct DoubleSums;

#[async_trait]
impl PostgresProjection for DoubleSums {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        create(db).await
    }
}

#[async_trait]
impl PostgresProject<TallyEvent> for DoubleSums {
    async fn project(
        &self,
        event: &Recorded<TallyEvent>,
        db: &mut Tables<'_>,
    ) -> Result<(), BoxError> {
        Ok(insert(event, 2, db).await?)
    }
}

async fn create(db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
    let sql = "create table if not exists {added} (position bigint primary key, amount bigint)";
    let sql = db.sql(sql);
    sqlx::query(sql).execute(&mut **db).await.map(drop)
}

async fn insert(
    event: &Recorded<TallyEvent>,
    factor: i64,
    db: &mut Tables<'_>,
) -> Result<(), sqlx::Error> {
    let TallyEvent::Added { amount } = event.event;
    let sql = db.sql("insert into {added} (position, amount) values ($1, $2)");
    sqlx::query(sql)
        .bind(event.record.position.get() as i64)
        .bind(amount as i64 * factor)
        .execute(&mut **db)
        .await
        .map(drop)
}

/// How many events had their effect, and the sum of their amounts.
async fn seen(store: &PostgresStore) -> (i64, i64) {
    let sql = "select count(*), coalesce(sum(amount), 0)::bigint from added";
    sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap()
}

async fn open(options: &PostgresOptions) -> (PostgresStore, Engine) {
    let store = options.clone().open().await.unwrap();
    (store.clone(), Engine::new(store))
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

fn impatient() -> RetryPolicy {
    RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    }
}

#[tokio::test]
async fn a_reader_sees_its_own_write_after_waiting() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let projections = Projections::builder(&engine)
        .with(store.read_model(Sums::default()))
        .start();
    for amount in 1..=20 {
        let position = add(&engine, amount, amount).await;
        projections.wait_for(position).await.unwrap();
        assert_eq!(seen(&store).await.0, amount as i64);
    }
    projections.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_behind_the_checkpoint() {
    let Some(file) = server::fresh() else { return };
    for round in 1..=3_u64 {
        let (store, engine) = open(&file).await;
        let last = add(&engine, round * 10 - 9, round * 10).await;
        let projections = Projections::builder(&engine)
            .with(store.read_model(Sums::default()))
            .start();
        projections.wait_for(last).await.unwrap();
        let total = (round * 10) as i64;
        assert_eq!(seen(&store).await, (total, total * (total + 1) / 2));
        projections.stop().await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_restart_with_nothing_to_catch_up_is_live() {
    let Some(file) = server::fresh() else { return };
    for round in 1..=2 {
        let (store, engine) = open(&file).await;
        let last = if round == 1 {
            add(&engine, 1, 5).await
        } else {
            Position::new(5)
        };
        let projections = Projections::builder(&engine)
            .with(store.read_model(Sums::default()))
            .start();
        projections.wait_for(last).await.unwrap();
        let status = &projections.status()[0];
        assert_eq!(
            (status.state, status.lag()),
            (ProjectionState::Live, 0),
            "round {round}"
        );
        projections.stop().await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_projection_that_shall_stop_skips_nothing() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let last = add(&engine, 1, 50).await;
    let fails_at = Arc::new(AtomicU64::new(30));
    let sums = Sums {
        fails_at: fails_at.clone(),
    };
    let projections = Projections::builder(&engine)
        .with_failures(store.read_model(sums), FailurePolicy::Stop)
        .retry(impatient())
        .start();
    let error = projections.wait_for(last).await.unwrap_err();
    assert_eq!(
        (error.name.as_str(), error.error.as_str()),
        ("sums", "no luck at 30")
    );
    assert_eq!(seen(&store).await, (29, 29 * 30 / 2));
    assert_eq!(projections.status()[0].state, ProjectionState::Stopped);

    fails_at.store(0, SeqCst);
    projections.resume("sums").await.unwrap();
    projections.wait_for(last).await.unwrap();
    assert_eq!(seen(&store).await, (50, 50 * 51 / 2));
    assert_eq!(projections.status()[0].last_error, None);
    // Appends went on meanwhile, and go on.
    assert_eq!(add(&engine, 51, 51).await, Position::new(51));
    projections.stop().await;
}

#[tokio::test]
async fn a_rebuild_gives_the_same_answers() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let last = add(&engine, 1, 30).await;
    let projections = Projections::builder(&engine)
        .with(store.read_model(Sums::default()))
        .start();
    projections.wait_for(last).await.unwrap();
    let before = seen(&store).await;
    projections.rebuild("sums").await.unwrap();
    projections.wait_for(last).await.unwrap();
    assert_eq!(seen(&store).await, before);
    projections.stop().await;
}

#[tokio::test]
async fn another_version_is_built_anew() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let last = add(&engine, 1, 10).await;
    let projections = Projections::builder(&engine)
        .with(store.read_model(Sums::default()))
        .start();
    projections.wait_for(last).await.unwrap();
    projections.stop().await;
    assert_eq!(seen(&store).await, (10, 55));
    let projections = Projections::builder(&engine)
        .with(store.read_model(DoubleSums))
        .start();
    // Readers see the old one until the new one is full.
    projections.wait_for(last).await.unwrap();
    assert_eq!(seen(&store).await.0, 10);
    projections.wait_until_current().await.unwrap();
    assert_eq!(seen(&store).await, (10, 110));
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_at_work_and_many_writers_do_not_disturb_each_other() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let (_, other) = open(&file).await;
    let projections = Projections::builder(&engine)
        .with(store.read_model(Sums::default()))
        .start();
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
    projections.wait_for(last).await.unwrap();
    assert_eq!(seen(&store).await, (400, 400 * 401 / 2));
    let everything = engine.store().read(Read::all(Query::all())).await.unwrap();
    let positions: Vec<u64> = everything
        .events
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(positions, (1..=400).collect::<Vec<_>>());
    projections.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_run_the_same_projection_take_each_event_once() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let (other_store, other) = open(&file).await;
    let run = |engine: &Engine, store: &PostgresStore| {
        Projections::builder(engine)
            .with(store.read_model(Sums::default()))
            .start()
    };
    let both = [run(&engine, &store), run(&other, &other_store)];
    let mut last = Position::ZERO;
    for amount in 1..=100 {
        last = add(
            if amount % 2 == 0 { &engine } else { &other },
            amount,
            amount,
        )
        .await;
    }
    for projections in &both {
        projections.wait_for(last).await.unwrap();
    }
    assert_eq!(seen(&store).await, (100, 5050));

    // What one empties, both fill again.
    both[0].rebuild("sums").await.unwrap();
    last = add(&other, 101, 101).await;
    for projections in &both {
        projections.wait_for(last).await.unwrap();
    }
    assert_eq!(seen(&other_store).await, (101, 5151));
    for projections in both {
        assert_eq!(projections.status()[0].last_error, None);
        projections.stop().await;
    }
}

#[tokio::test]
async fn an_older_version_leaves_a_newer_read_model_alone() {
    let Some(file) = server::fresh() else { return };
    let (store, engine) = open(&file).await;
    let last = add(&engine, 1, 10).await;
    let newer = Projections::builder(&engine)
        .with(store.read_model(DoubleSums))
        .start();
    newer.wait_for(last).await.unwrap();
    newer.stop().await;
    let older = Projections::builder(&engine)
        .with(store.read_model(Sums::default()))
        .retry(impatient())
        .start();
    let error = older.wait_for(last).await.unwrap_err();
    assert_eq!(
        error.error,
        "the read model \"sums\" is of version 2, this code knows version 1"
    );
    assert_eq!(seen(&store).await, (10, 110));
    older.stop().await;
}
