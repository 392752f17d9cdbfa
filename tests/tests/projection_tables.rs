//! Projections into tables: events of several types, and conflicts of table names.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use factum::Position;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::WaitError;
use factum_postgres::sqlx;
use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection, rusqlite};
use factum_tests::backend::Backend;
use factum_tests::load::{Fill, JarEvent};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lid")]
enum LidEvent {
    Closed,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lid", id = String, event = LidEvent)]
struct Lid;

impl Apply<LidEvent> for Lid {
    fn apply(&mut self, _: &LidEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lid)]
struct Close {
    #[id]
    lid: String,
}

impl Decide for Close {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lid) -> Result<Events<LidEvent>, Self::Error> {
        Ok(LidEvent::Closed.into())
    }
}

/// The events of jars and lids, in order.
#[derive(Projection)]
#[projection(name = "kitchen", events = (JarEvent, LidEvent))]
struct Kitchen;

/// Another projection that claims the same table.
#[derive(Projection)]
#[projection(name = "pantry", events = LidEvent)]
struct Pantry;

const CREATE: &str =
    "create table if not exists {happened} (position bigint primary key, what text not null)";
const INSERT: &str = "insert into {happened} (position, what) values ($1, $2)";

macro_rules! happened {
    ($($model:ident of $($event:ident)*;)*) => {$(
        impl SqlProjection for $model {
            async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
                db.execute(CREATE).await
            }
        }

        $(
            impl SqlProject<$event> for $model {
                async fn project(
                    &self,
                    event: &Recorded<$event>,
                    db: &mut Sql<'_>,
                ) -> Result<(), BoxError> {
                    let insert = db.query(INSERT).bind(event.record.position);
                    let what = format!("{} {}", stringify!($event), event.record.stream);
                    insert.bind(what).execute().await?;
                    Ok(())
                }
            }
        )*
    )*};
}

happened! {
    Kitchen of JarEvent LidEvent;
    Pantry of LidEvent;
}

macro_rules! run {
    ($backend:expr, $engine:expr, $($model:expr),+) => {{
        let builder = Runtime::builder($engine).retry(RetryPolicy {
            attempts: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
        });
        let builder = match $backend {
            Backend::Sqlite(store) => builder$(.projection(store.read_model($model)))+,
            Backend::Postgres(store) => builder$(.projection(store.read_model($model)))+,
        };
        builder.start().await.unwrap()
    }};
}

async fn happened(backend: &Backend) -> Vec<(i64, String)> {
    let sql = "select position, what from happened order by position";
    match backend {
        Backend::Sqlite(store) => store.query(sql).fetch_all().await,
        Backend::Postgres(store) => store.query(sql).fetch_all().await,
    }
    .unwrap()
}

/// Returns the name and the error of the projection that has stopped.
fn stopped(error: WaitError) -> (String, String) {
    match error {
        WaitError::Stopped { name, error, .. } => (name, error),
        error => panic!("{error:?}"),
    }
}

async fn execute(backend: &Backend, sql: &'static str) {
    match backend {
        // The queries of the store are read-only.
        Backend::Sqlite(store) => {
            let files = store.query("select file from pragma_database_list");
            let file: String = files.fetch_one().await.unwrap();
            let own = rusqlite::Connection::open(file).unwrap();
            own.execute_batch(sql).unwrap();
        }
        Backend::Postgres(store) => {
            sqlx::raw_sql(sql).execute(store.pool()).await.unwrap();
        }
    }
}

async fn work(engine: &Engine) -> Position {
    let lid = "l1".to_owned();
    Fill::new("w", 0).execute(engine).await.unwrap();
    engine.execute(Close { lid: lid.clone() }).await.unwrap();
    Fill::new("w", 0).execute(engine).await.unwrap();
    engine.execute(Close { lid }).await.unwrap().position()
}

async fn several_event_types_fill_one_table_in_order(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = work(&engine).await;
    let runtime = run!(&backend, &engine, Kitchen);
    runtime.wait_for(last).await.unwrap();
    let expected = [
        (1, "JarEvent jar-w"),
        (2, "JarEvent jar-w"),
        (3, "LidEvent lid-l1"),
        (4, "LidEvent lid-l1"),
    ];
    let expected = expected.map(|(position, what)| (position, what.to_owned()));
    assert_eq!(happened(&backend).await, expected);
    runtime.stop().await;
    backend.close().await;
}

async fn two_projections_cannot_share_table(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = work(&engine).await;
    let runtime = run!(&backend, &engine, Kitchen);
    runtime.wait_for(last).await.unwrap();
    // The next build has other tables, but the same view.
    let kitchen = runtime.projection::<Kitchen>().unwrap();
    kitchen.rebuild().await.unwrap();
    runtime.stop().await;
    let before = happened(&backend).await;

    let both = run!(&backend, &engine, Kitchen, Pantry);
    let error = both.wait_for(last).await.unwrap_err();
    let (name, error) = stopped(error);
    assert_eq!(name, "pantry");
    assert_eq!(
        error,
        "the read model cannot be prepared: projections \"pantry\" and \"kitchen\" both have a table \"happened\"; rename \
         it in one of them"
    );
    let closed = Close {
        lid: "l2".to_owned(),
    };
    let last = engine.execute(closed).await.unwrap().position();
    let mut kitchen = both.projection::<Kitchen>().unwrap().watch();
    kitchen
        .wait_for(|status| status.position >= last)
        .await
        .unwrap();
    let after = happened(&backend).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 1);
    both.stop().await;
    backend.close().await;
}

async fn concurrent_table_claims_reject_one_projection(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = work(&engine).await;
    let both = run!(&backend, &engine, Kitchen, Pantry);
    let error = both.wait_for(last).await.unwrap_err();
    let (name, error) = stopped(error);
    let names = match name.as_str() {
        "pantry" => "\"pantry\" and \"kitchen\"",
        _ => "\"kitchen\" and \"pantry\"",
    };
    assert!(error.contains(names), "{error}");
    both.stop().await;
    backend.close().await;
}

async fn foreign_tables_are_left_untouched(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = work(&engine).await;
    let foreign = [
        (
            "create view happened as select 1 as position, 'x' as what",
            "happened",
        ),
        (
            "create table happened__1 (position bigint, what text)",
            "happened__1",
        ),
        ("create table happened__1 (other text)", "happened__1"),
    ];
    for (create, found) in foreign {
        execute(&backend, create).await;
        let runtime = run!(&backend, &engine, Kitchen);
        let (_, error) = stopped(runtime.wait_for(last).await.unwrap_err());
        assert_eq!(
            error,
            format!(
                "the read model cannot be prepared: projection \"kitchen\" cannot create a table \"happened\": the \
                 database already has {found:?}; rename one of them"
            )
        );
        runtime.stop().await;
        let drop = match found {
            "happened" => "drop view happened",
            _ => "drop table happened__1",
        };
        execute(&backend, drop).await;
    }
    // The projection works once the names are free.
    let runtime = run!(&backend, &engine, Kitchen);
    runtime.wait_for(last).await.unwrap();
    assert_eq!(happened(&backend).await.len(), 4);
    runtime.stop().await;
    backend.close().await;
}

/// A projection that forgets the braces.
#[derive(Projection)]
#[projection(name = "shelf", events = LidEvent)]
struct Shelf;

impl SqlProjection for Shelf {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists shelf (position bigint)")
            .await
    }
}

impl SqlProject<LidEvent> for Shelf {
    async fn project(&self, event: &Recorded<LidEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let insert = db.query("insert into shelf (position) values ($1)");
        insert.bind(event.record.position).execute().await?;
        Ok(())
    }
}

async fn table_without_braces_is_rejected(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let last = work(&engine).await;
    let runtime = run!(&backend, &engine, Shelf);
    let (name, error) = stopped(runtime.wait_for(last).await.unwrap_err());
    let expected = "projection \"shelf\" creates the table \"shelf\" for all builds; write its name in braces, as in {shelf}";
    assert!(name == "shelf" && error.ends_with(expected), "{error}");
    runtime.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    table_without_braces_is_rejected;
    several_event_types_fill_one_table_in_order;
    two_projections_cannot_share_table;
    concurrent_table_claims_reject_one_projection;
    foreign_tables_are_left_untouched;
}
