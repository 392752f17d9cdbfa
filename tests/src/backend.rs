//! Stores with SQL tables, and a projection that detects events applied twice, never, or out of order.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use factum::Position;
use factum::prelude::*;
use factum::runtime::{StartError, checkpoint};
use factum::store::StoreError;
use factum_postgres::{PgConnectOptions, PostgresOptions, PostgresStore};
use factum_sqlite::{
    BoxError, Sql, SqlError, SqlProject, SqlProjection, SqliteOptions, SqliteStore,
};

use crate::load::{JarEvent, PATIENT};

pub(crate) const CREATE: &str = "create table if not exists {jar}
    (stream text primary key, count bigint not null, digest bigint not null)";
/// Counts an event. The digest depends on the positions and their order.
///
/// The syntax is valid in both databases.
pub(crate) const FILL: &str = "insert into {jar} (stream, count, digest) values ($1, 1, $2)
    on conflict (stream) do update
    set count = {jar}.count + 1, digest = ({jar}.digest * 31 + excluded.digest) % 1000003";
const ALL: &str = "select stream, count, digest from jar";

/// The number of applied events of each stream, and a digest of their positions.
pub type Jars = BTreeMap<String, (i64, i64)>;

/// Returns the rows of the table after these events, given as stream and position, were applied.
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

/// A projection that counts the events of each stream in a table.
#[derive(Projection)]
#[projection(name = "jars", events = JarEvent)]
pub struct CountJars {
    /// A hook that is called for each event, inside the transaction.
    pub on_event: fn(),
}

impl Default for CountJars {
    fn default() -> Self {
        Self { on_event: || {} }
    }
}

impl SqlProjection for CountJars {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(CREATE).await
    }
}

impl SqlProject<JarEvent> for CountJars {
    async fn project(&self, event: &Recorded<JarEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        (self.on_event)();
        let fill = db.query(FILL).bind(event.record.stream.as_str());
        fill.bind(event.record.position).execute().await?;
        Ok(())
    }
}

/// An open store with tables.
pub enum Backend {
    /// A store in a SQLite file.
    Sqlite(SqliteStore),
    /// A store in a PostgreSQL schema.
    Postgres(PostgresStore),
}

impl Backend {
    /// Opens a store. `location` is a SQLite file, or a PostgreSQL schema as `<url>#<schema>`.
    ///
    /// # Errors
    /// Returns an error if the store cannot be opened.
    pub async fn open(location: &str) -> Result<Self> {
        if !location.starts_with("postgres") {
            // SQLite does not queue writers: two busy processes need a long timeout.
            let options =
                SqliteOptions::new(location).busy_timeout(std::time::Duration::from_secs(60));
            return Ok(Self::Sqlite(options.open().await?));
        }
        let (url, schema) = location
            .rsplit_once('#')
            .context("missing schema; expected `<url>#<schema>`")?;
        let options = PostgresOptions::new(PgConnectOptions::from_str(url)?);
        Ok(Self::Postgres(
            options.readers(4).schema(schema).open().await?,
        ))
    }

    /// Returns an engine that retries for a long time.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let builder = match self {
            Self::Sqlite(store) => Engine::builder(store.clone()),
            Self::Postgres(store) => Engine::builder(store.clone()),
        };
        builder.retry(PATIENT).build()
    }

    /// Starts a runtime with the projection `count`, which retries for a long time.
    ///
    /// # Errors
    /// Returns an error if the runtime cannot be started.
    pub async fn runtime(&self, engine: &Engine, count: CountJars) -> Result<Runtime, StartError> {
        let builder = Runtime::builder(engine)
            .retry(PATIENT)
            .lease(std::time::Duration::from_millis(600));
        match self {
            Self::Sqlite(store) => builder.projection(store.read_model(count)),
            Self::Postgres(store) => builder.projection(store.read_model(count)),
        }
        .start()
        .await
    }

    /// Returns the checkpoint of the projection `jars`.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn checkpoint(&self) -> Result<Position, StoreError> {
        checkpoint(&**self.engine().store(), "jars").await
    }

    /// Returns the names of the tables and views that start with `jar`.
    ///
    /// # Errors
    /// Returns an error if the query fails.
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

    /// Returns the rows of the projection's table.
    ///
    /// # Errors
    /// Returns an error if the query fails.
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
