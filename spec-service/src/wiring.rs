//! The one file that names an adapter: the store, and the list of specifications in a table of its file.

use std::path::PathBuf;

use anyhow::Context as _;
use async_trait::async_trait;
use factum::prelude::*;
use factum::{Position, Projections, StoreError};
use factum_sqlite::{BoxError, SqliteConnection, SqlitePool, SqliteProjection, SqliteStore};
use sqlx::Row as _;

use crate::app::{AppError, Cursor, ListPage, ListQuery, SpecList, SpecSummary, Specs};
use crate::domain::{SpecEvent, SpecId, SpecState};
use crate::settings::Database;

/// The specifications in a database, and what closes it.
pub struct Wired {
    /// The specifications.
    pub specs: Specs,
    store: SqliteStore,
}

impl Wired {
    /// Opens `database`, creates it if there is none, and starts the projections.
    ///
    /// # Errors
    /// If the database cannot be opened, or is of a newer version.
    pub async fn open(database: &Database, max_content: usize) -> anyhow::Result<Self> {
        let Database::Sqlite(file) = database;
        let shown = file.display().to_string();
        let store = SqliteStore::open(PathBuf::from(file)).await;
        let store = store.with_context(|| format!("the database {shown} cannot be opened"))?;
        let engine = Engine::new(store.clone());
        let projections = Projections::builder(&engine)
            .with(store.read_model(SpecTable))
            .start();
        let list = SqliteSpecList(store.pool().clone());
        let specs = Specs::new(engine, projections, list).max_content(max_content);
        Ok(Self { specs, store })
    }

    /// Lets writes under way finish, and closes the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}

/// The list of specifications, as a table.
#[derive(Projection)]
#[projection(name = "spec_list", version = 1, events = SpecEvent)]
struct SpecTable;

#[async_trait]
impl SqliteProjection for SpecTable {
    async fn create(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        // `created` is the position of the creation: the order of the list, and what a cursor holds.
        sqlx::raw_sql(
            "create table if not exists spec_list (
                 id      text primary key,
                 created integer not null unique,
                 state   text not null,
                 summary text not null
             ) without rowid;
             create index if not exists spec_list_by_state on spec_list (state, created);",
        )
        .execute(db)
        .await
        .map(drop)
    }

    async fn drop(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query("drop table if exists spec_list")
            .execute(db)
            .await
            .map(drop)
    }

    async fn project(
        &self,
        event: &Recorded<SpecEvent>,
        db: &mut SqliteConnection,
    ) -> Result<(), BoxError> {
        let key = event.record.stream.key();
        let id: SpecId = key.parse()?;
        let before: Option<String> =
            sqlx::query_scalar("select summary from spec_list where id = ?")
                .bind(key)
                .fetch_optional(&mut *db)
                .await?;
        let before = before.map(|json| serde_json::from_str(&json)).transpose()?;
        let summary = SpecSummary::after(before, id, event)
            .ok_or_else(|| format!("{key} has no creation ahead of {}", event.record.name))?;
        sqlx::query(
            "insert into spec_list (id, created, state, summary) values (?, ?, ?, ?)
             on conflict (id) do update set state = excluded.state, summary = excluded.summary",
        )
        .bind(key)
        .bind(event.record.position.get() as i64)
        .bind(summary.state.as_str())
        .bind(serde_json::to_string(&summary)?)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Reads the table.
struct SqliteSpecList(SqlitePool);

#[async_trait]
impl SpecList for SqliteSpecList {
    async fn page(&self, query: ListQuery) -> Result<ListPage, AppError> {
        let wanted: Vec<&str> = SpecState::ALL
            .into_iter()
            .filter(|state| query.wants(*state))
            .map(SpecState::as_str)
            .collect();
        let after = query.after.map_or(0, |cursor| cursor.0.get());
        // One statement, so that the total and the page are of the same moment.
        let row = sqlx::query(
            "select (select count(*) from spec_list where state in (select value from json_each(?1))),
                    (select json_group_array(json_array(created, summary)) from (
                         select created, summary from spec_list
                         where created > ?2 and state in (select value from json_each(?1))
                         order by created limit ?3 + 1))",
        )
        .bind(serde_json::to_string(&wanted).map_err(internal)?)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::try_from(query.limit).unwrap_or(i64::MAX - 1))
        .fetch_one(&self.0)
        .await
        .map_err(unavailable)?;
        let total: i64 = row.try_get(0).map_err(internal)?;
        let rows: Vec<(u64, String)> =
            serde_json::from_str(row.try_get(1).map_err(internal)?).map_err(internal)?;
        let next = (rows.len() > query.limit).then(|| rows[query.limit - 1].0);
        let specs = rows.iter().take(query.limit);
        let specs = specs
            .map(|(_, summary)| serde_json::from_str(summary))
            .collect::<Result<_, _>>();
        Ok(ListPage {
            specs: specs.map_err(internal)?,
            total: total as u64,
            next: next.map(|created| Cursor(Position::new(created))),
        })
    }
}

fn internal(error: impl Into<BoxError>) -> AppError {
    AppError::Internal(error.into())
}

fn unavailable(error: sqlx::Error) -> AppError {
    match error {
        // While a rebuild drops the table and makes it anew, other connections wait: they never see it gone.
        sqlx::Error::PoolClosed => StoreError::Closed.into(),
        other => AppError::Unavailable(other.into()),
    }
}
