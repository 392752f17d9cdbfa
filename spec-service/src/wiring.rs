//! The choice of the database: the store, and the list of specifications as a table. Only this file uses adapters.

use std::path::Path;

use anyhow::Context as _;
use async_trait::async_trait;
use factum::prelude::*;
use factum::{Position, Projections, StoreError};
use factum_postgres::{PgConnectOptions, PgPool};
use factum_postgres::{PostgresOptions, PostgresProject, PostgresProjection, PostgresStore};
use factum_sqlite::{BoxError, SqlitePool, SqliteProject, SqliteProjection, SqliteStore};
use sqlx::Row as _;

use crate::app::{AppError, Cursor, ListPage, ListQuery, SpecList, SpecSummary, Specs};
use crate::domain::{SpecEvent, SpecId, SpecState};
use crate::settings::{Database, Settings};

/// The specifications, with the store that must be closed at shutdown.
pub struct Wired {
    /// The specifications.
    pub specs: Specs,
    store: Store,
}

enum Store {
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
        let engine = Engine::new(store.clone());
        let projections = Projections::builder(&engine)
            .with(store.read_model(SpecTable))
            .start();
        readable(&projections).await;
        let specs = Specs::new(engine, projections, SqliteSpecList(store.pool().clone()));
        let store = Store::Sqlite(store);
        Ok(Self { specs, store })
    }

    async fn postgres(url: &str, schema: &str) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let store = PostgresOptions::new(server).schema(schema).open().await?;
        let engine = Engine::new(store.clone());
        let projections = Projections::builder(&engine)
            .with(store.read_model(SpecTable))
            .start();
        readable(&projections).await;
        let specs = Specs::new(engine, projections, PostgresSpecList(store.pool().clone()));
        let store = Store::Postgres(store);
        Ok(Self { specs, store })
    }

    /// Waits for writes in flight, and closes the database.
    pub async fn close(self) {
        match self.store {
            Store::Sqlite(store) => store.close().await,
            Store::Postgres(store) => store.close().await,
        }
    }
}

/// Waits until the list can be read.
///
/// If the list cannot be created, writes still work, and the health check reports the error.
async fn readable(projections: &Projections) {
    if let Err(error) = projections.wait_for(Position::ZERO).await {
        tracing::error!(%error, "there is no list of specifications");
    }
}

/// The list of specifications as a table.
///
/// The column `created` is the position of the creation. It defines the order of the list and is the value of a
/// cursor.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
pub(crate) struct SpecTable;

// These statements are valid in SQLite and PostgreSQL.
const CREATE_TABLE: &str = "create table if not exists {spec_list} (
    id      text primary key,
    created bigint not null unique,
    state   text not null,
    summary text not null
)";
const CREATE_INDEX: &str =
    "create index if not exists {spec_list_by_state} on {spec_list} (state, created)";
const LOAD: &str = "select summary from {spec_list} where id = $1";
const SAVE: &str = "insert into {spec_list} (id, created, state, summary) values ($1, $2, $3, $4)
    on conflict (id) do update set state = excluded.state, summary = excluded.summary";

/// Returns the summary after `event`, given the stored summary before it.
fn next(before: Option<String>, event: &Recorded<SpecEvent>) -> Result<SpecSummary, BoxError> {
    let id: SpecId = event.record.stream.key().parse()?;
    let before = before.map(|json| serde_json::from_str(&json)).transpose()?;
    let next = SpecSummary::after(before, id, event);
    Ok(next.ok_or_else(|| format!("{id} has no creation ahead of {}", event.record.name))?)
}

#[async_trait]
impl SqliteProjection for SpecTable {
    async fn create(&self, db: &mut factum_sqlite::Tables<'_>) -> Result<(), sqlx::Error> {
        let (table, index) = (db.sql(CREATE_TABLE), db.sql(CREATE_INDEX));
        sqlx::query(table).execute(&mut **db).await?;
        sqlx::query(index).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl SqliteProject<SpecEvent> for SpecTable {
    async fn project(
        &self,
        event: &Recorded<SpecEvent>,
        db: &mut factum_sqlite::Tables<'_>,
    ) -> Result<(), BoxError> {
        let id = event.record.stream.key();
        let before = sqlx::query_scalar(db.sql(LOAD))
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        let next = next(before, event)?;
        sqlx::query(db.sql(SAVE))
            .bind(id)
            .bind(event.record.position.get() as i64)
            .bind(next.state.as_str())
            .bind(serde_json::to_string(&next)?)
            .execute(&mut **db)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl PostgresProjection for SpecTable {
    async fn create(&self, db: &mut factum_postgres::Tables<'_>) -> Result<(), sqlx::Error> {
        let (table, index) = (db.sql(CREATE_TABLE), db.sql(CREATE_INDEX));
        sqlx::query(table).execute(&mut **db).await?;
        sqlx::query(index).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl PostgresProject<SpecEvent> for SpecTable {
    async fn project(
        &self,
        event: &Recorded<SpecEvent>,
        db: &mut factum_postgres::Tables<'_>,
    ) -> Result<(), BoxError> {
        let id = event.record.stream.key();
        let before = sqlx::query_scalar(db.sql(LOAD))
            .bind(id)
            .fetch_optional(&mut **db)
            .await?;
        let next = next(before, event)?;
        sqlx::query(db.sql(SAVE))
            .bind(id)
            .bind(event.record.position.get() as i64)
            .bind(next.state.as_str())
            .bind(serde_json::to_string(&next)?)
            .execute(&mut **db)
            .await?;
        Ok(())
    }
}

/// The list in SQLite.
struct SqliteSpecList(SqlitePool);

#[async_trait]
impl SpecList for SqliteSpecList {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        // A single statement, so that the total and the page are consistent.
        let row = sqlx::query(
            "select (select count(*) from spec_list where state in (select value from json_each(?1))),
                    (select json_group_array(json_array(created, summary)) from (
                         select created, summary from spec_list
                         where created > ?2 and state in (select value from json_each(?1))
                         order by created limit ?3 + 1))",
        )
        .bind(serde_json::to_string(&wanted(&query)).map_err(internal)?)
        .bind(after(&query))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX - 1))
        .fetch_one(&self.0)
        .await
        .map_err(unavailable)?;
        let total: i64 = row.try_get(0).map_err(internal)?;
        let rows: Vec<(i64, String)> =
            serde_json::from_str(row.try_get(1).map_err(internal)?).map_err(internal)?;
        page(&query, total, &rows)
    }
}

/// The list in PostgreSQL.
struct PostgresSpecList(PgPool);

#[async_trait]
impl SpecList for PostgresSpecList {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        // The total is returned even if the page is empty.
        let rows: Vec<(i64, Option<i64>, Option<String>)> = sqlx::query_as(
            "select t.total, p.created, p.summary
             from (select count(*) as total from spec_list where state = any ($1)) t
             left join lateral (
                 select created, summary from spec_list
                 where created > $2 and state = any ($1)
                 order by created limit $3 + 1
             ) p on true
             order by p.created",
        )
        .bind(wanted(&query))
        .bind(after(&query))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX - 1))
        .fetch_all(&self.0)
        .await
        .map_err(unavailable)?;
        let total = rows.first().map_or(0, |row| row.0);
        let rows: Vec<(i64, String)> = rows
            .into_iter()
            .filter_map(|row| row.1.zip(row.2))
            .collect();
        page(&query, total, &rows)
    }
}

fn wanted(query: &ListQuery) -> Vec<&'static str> {
    let states = SpecState::ALL
        .into_iter()
        .filter(|state| query.wants(*state));
    states.map(SpecState::as_str).collect()
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

fn unavailable(error: sqlx::Error) -> AppError {
    match error {
        sqlx::Error::PoolClosed => StoreError::Closed.into(),
        other => AppError::Unavailable(other.into()),
    }
}
