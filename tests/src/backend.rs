//! The stores with tables beside their events, and a projection that tells when an event had its effect twice,
//! never, or out of turn.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use factum::prelude::*;
use factum::projections::checkpoint;
use factum::{Position, StoreError};
use factum_postgres::{PgConnectOptions, PostgresOptions, PostgresStore};
use factum_sqlite::{
    BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteOptions, SqliteStore,
};

use crate::load::{JarEvent, PATIENT};

pub(crate) const CREATE: &str = "create table if not exists {jar}
    (stream text primary key, count bigint not null, digest bigint not null)";
/// The digest depends on each position and on their order. Both databases understand this.
pub(crate) const FILL: &str = "insert into {jar} (stream, count, digest) values ($1, 1, $2)
    on conflict (stream) do update
    set count = {jar}.count + 1, digest = ({jar}.digest * 31 + excluded.digest) % 1000003";
const ALL: &str = "select stream, count, digest from jar";

/// How many events each stream has had their effect, and a digest of their positions.
pub type Jars = BTreeMap<String, (i64, i64)>;

/// What the table must hold once events of these streams at these positions have had their effect.
#[must_use]
pub fn replay<'a>(events: impl IntoIterator<Item = (&'a str, u64)>) -> Jars {
    let mut jars = Jars::new();
    for (stream, position) in events {
        let (count, digest) = jars.entry(stream.to_owned()).or_default();
        *digest = match count {
            0 => position as i64,
            _ => (*digest * 31 + position as i64) % 1_000_003,
        };
        *count += 1;
    }
    jars
}

/// Counts events, in a table beside them.
#[derive(Projection)]
#[projection(name = "jars", events = JarEvent)]
pub struct CountJars {
    /// Called for each event, inside the transaction.
    pub taking: fn(),
}

impl Default for CountJars {
    fn default() -> Self {
        Self { taking: || {} }
    }
}

impl SqlProjection for CountJars {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(CREATE).await
    }
}

impl SqlProject<JarEvent> for CountJars {
    async fn project(&self, event: &Recorded<JarEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        (self.taking)();
        let fill = db.query(FILL).bind(event.record.stream.as_str());
        fill.bind(event.record.position).execute().await?;
        Ok(())
    }
}

/// A store that is open.
pub enum Backend {
    /// On a file.
    Sqlite(SqliteStore),
    /// In a schema.
    Postgres(PostgresStore),
}

impl Backend {
    /// Opens the file `place`; or the schema behind the `#` of `place` on the server whose URL stands ahead of it.
    ///
    /// # Errors
    /// As the store's.
    pub async fn open(place: &str) -> Result<Self> {
        if !place.starts_with("postgres") {
            // SQLite promises no turn to two processes that both write without a pause.
            let patient =
                SqliteOptions::new(place).busy_timeout(std::time::Duration::from_secs(60));
            return Ok(Self::Sqlite(patient.open().await?));
        }
        let (url, schema) = place.rsplit_once('#').context("no schema is given")?;
        let options = PostgresOptions::new(PgConnectOptions::from_str(url)?);
        Ok(Self::Postgres(
            options.readers(4).schema(schema).open().await?,
        ))
    }

    /// An engine that does not give up.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let builder = match self {
            Self::Sqlite(store) => Engine::builder(store.clone()),
            Self::Postgres(store) => Engine::builder(store.clone()),
        };
        builder.retry(PATIENT).build()
    }

    /// Runs `count`, which does not give up.
    #[must_use]
    pub fn projections(&self, engine: &Engine, count: CountJars) -> Projections {
        let builder = Projections::builder(engine)
            .retry(PATIENT)
            .lease(std::time::Duration::from_millis(600));
        match self {
            Self::Sqlite(store) => builder.with(store.read_model(count)),
            Self::Postgres(store) => builder.with(store.read_model(count)),
        }
        .start()
    }

    /// How far the projection `jars` has come.
    ///
    /// # Errors
    /// As the store's.
    pub async fn checkpoint(&self) -> Result<Position, StoreError> {
        checkpoint(&**self.engine().store(), "jars").await
    }

    /// The tables and views whose names begin with `jar`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tables(&self) -> Result<Vec<String>, SqlError> {
        match self {
            Self::Sqlite(store) => {
                let sql = "select name from sqlite_master where name like 'jar%' order by name";
                store.query(sql).fetch_all().await
            }
            Self::Postgres(store) => {
                let sql = "select relname::text from pg_class where relname like 'jar%' and relkind in ('r', 'v')
                    and relnamespace = current_schema()::regnamespace order by relname";
                store.query(sql).fetch_all().await
            }
        }
    }

    /// What the projection's table holds.
    ///
    /// # Errors
    /// What the database says.
    pub async fn jars(&self) -> Result<Jars, SqlError> {
        let rows: Vec<(String, i64, i64)> = match self {
            Self::Sqlite(store) => store.query(ALL).fetch_all().await?,
            Self::Postgres(store) => store.query(ALL).fetch_all().await?,
        };
        let jars = rows.into_iter();
        Ok(jars
            .map(|(stream, count, digest)| (stream, (count, digest)))
            .collect())
    }

    /// Closes the store.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
