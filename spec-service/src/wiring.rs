//! The choice of the database: the store, and the list of specifications as a table. Only this file uses adapters.

use std::path::Path;

use anyhow::Context as _;
use async_trait::async_trait;
use factum::Position;
use factum::prelude::*;
use factum_postgres::{PgConnectOptions, PostgresOptions, PostgresStore};
use factum_sqlite::{
    BoxError, Sql, SqlDatabase, SqlDatabaseExt as _, SqlError, SqlProject, SqlProjection,
    SqliteStore,
};

use crate::app::{AppError, Cursor, ListPage, ListQuery, SpecList, SpecSummary, Specs};
use crate::domain::{SpecEvent, SpecId, SpecState};
use crate::settings::{Database, Settings};

/// The specifications, with the store that must be closed at shutdown.
pub struct Wired {
    /// The specifications.
    pub specs: Specs,
    store: SpecStore,
}

enum SpecStore {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Wired {
    /// Opens the database, creates missing tables, and starts the projections.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened, or if it has a newer version.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let wired = match &settings.database_url {
            Database::Sqlite(file) => Self::sqlite(file).await,
            Database::Postgres(url) => Self::postgres(url, &settings.database_schema).await,
        };
        let Self { specs, store } = wired.context("the database cannot be opened")?;
        let specs = specs.max_content(settings.max_content_bytes);
        Ok(Self { specs, store })
    }

    async fn sqlite(file: &Path) -> anyhow::Result<Self> {
        let store = SqliteStore::open(file)
            .await
            .with_context(|| file.display().to_string())?;
        let specs = start(store.clone()).await?;
        let store = SpecStore::Sqlite(store);
        Ok(Self { specs, store })
    }

    async fn postgres(url: &str, schema: &str) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let store = PostgresOptions::new(server).schema(schema).open().await?;
        let specs = start(store.clone()).await?;
        let store = SpecStore::Postgres(store);
        Ok(Self { specs, store })
    }

    /// Stops the projections, waits for running writes, and closes the database.
    pub async fn close(self) {
        self.specs.stop().await;
        match self.store {
            SpecStore::Sqlite(store) => store.close().await,
            SpecStore::Postgres(store) => store.close().await,
        }
    }
}

/// Starts the projection of the list, and waits until the list can be read.
///
/// If the list cannot be created, writes still work, and the health check reports the error.
async fn start<D: SqlDatabase + Clone>(database: D) -> anyhow::Result<Specs> {
    let engine = Engine::new(database.clone());
    let runtime = Runtime::builder(&engine)
        .projection(database.read_model(SpecTable))
        .start()
        .await?;
    if let Err(error) = runtime.wait_for(Position::ZERO).await {
        tracing::error!(%error, "there is no list of specifications");
    }
    Ok(Specs::new(engine, runtime, SpecTableList(database)))
}

/// The list of specifications as a table.
///
/// The column `created` is the position of the creation. It defines the order of the list and is the value of a
/// cursor.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
pub(crate) struct SpecTable;

impl SqlProjection for SpecTable {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute(
            "create table if not exists {spec_list} (
                 id      text primary key,
                 created bigint not null unique,
                 state   text not null,
                 summary text not null
             );
             create index if not exists {spec_list_by_state} on {spec_list} (state, created)",
        )
        .await
    }
}

impl SqlProject<SpecEvent> for SpecTable {
    async fn project(&self, event: &Recorded<SpecEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        let id = event.record.stream.key();
        let load = db.query("select summary from {spec_list} where id = $1");
        let next = next(load.bind(id).fetch_optional().await?, event)?;
        let save = db.query(
            "insert into {spec_list} (id, created, state, summary) values ($1, $2, $3, $4)
             on conflict (id) do update set state = excluded.state, summary = excluded.summary",
        );
        save.bind(id)
            .bind(event.record.position)
            .bind(next.state.as_str())
            .bind(serde_json::to_string(&next)?)
            .execute()
            .await?;
        Ok(())
    }
}

/// Returns the summary after `event`, given the stored summary before it.
fn next(before: Option<String>, event: &Recorded<SpecEvent>) -> Result<SpecSummary, BoxError> {
    let id: SpecId = event.record.stream.key().parse()?;
    let before = before.map(|json| serde_json::from_str(&json)).transpose()?;
    let next = SpecSummary::after(before, id, event);
    Ok(next.ok_or_else(|| format!("{id} has no creation before {}", event.record.name))?)
}

/// The list, read from the table.
struct SpecTableList<D>(D);

#[async_trait]
impl<D: SqlDatabase> SpecList for SpecTableList<D> {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        // One statement, so that the total and the page are of the same moment. The total comes also if the page is empty.
        let mut select = self.0.query(
            "select t.total, p.created, p.summary
             from (select count(*) as total from spec_list where state in ($1, $2, $3, $4)) t
             left join (
                 select created, summary from spec_list
                 where created > $5 and state in ($1, $2, $3, $4)
                 order by created limit $6
             ) p on true
             order by p.created",
        );
        for state in SpecState::ALL {
            select = select.bind(query.wants(state).then_some(state.as_str()));
        }
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX - 1);
        let select = select.bind(after(&query)).bind(limit + 1);
        let rows: Vec<(i64, Option<i64>, Option<String>)> =
            select.fetch_all().await.map_err(unavailable)?;
        let total = rows.first().map_or(0, |row| row.0);
        let rows: Vec<(i64, String)> = rows
            .into_iter()
            .filter_map(|row| row.1.zip(row.2))
            .collect();
        page(&query, total, &rows)
    }
}

fn after(query: &ListQuery) -> i64 {
    let after = query.after.map_or(0, |cursor| cursor.0.get());
    i64::try_from(after).unwrap_or(i64::MAX)
}

/// Creates a page from `rows`. They have one row more than the limit if there is a next page.
fn page(query: &ListQuery, total: i64, rows: &[(i64, String)]) -> Result<ListPage, AppError> {
    let next = (rows.len() > query.limit).then(|| rows[query.limit - 1].0);
    let specs = rows.iter().take(query.limit);
    let specs = specs
        .map(|(_, summary)| serde_json::from_str(summary))
        .collect::<Result<_, _>>();
    Ok(ListPage {
        specs: specs.map_err(internal)?,
        total: total as u64,
        next: next.map(|created| Cursor(Position::new(created as u64))),
    })
}

fn internal(error: impl Into<BoxError>) -> AppError {
    AppError::Internal(error.into())
}

fn unavailable(error: SqlError) -> AppError {
    match error {
        SqlError::Store(error) => error.into(),
        other => AppError::Unavailable(other.into()),
    }
}
