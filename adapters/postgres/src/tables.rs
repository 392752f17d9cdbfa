//! [`Tables`]: the tables of one build of a read model.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use factum::document::{Changes, Revision};
use factum::projections::{
    control_key, fill_in, list, listed, table, tables_key, views_key, wants,
};
use factum::{ReadModel, StepError, StoreError};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::error::store_error;

/// The tables of one build of a read model, and the connection to their database; reads like the connection.
///
/// A read model is rebuilt beside the one that readers see, so its tables have other names in each build. Write them in
/// braces, and let [`sql`](Self::sql) fill them in; readers use the plain names:
///
/// ```
/// # use factum_postgres::Tables;
/// # async fn add(db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
/// let insert = db.sql("insert into {owner} (account, name) values ($1, $2)");
/// sqlx::query(insert).bind("a-1").bind("alice").execute(&mut **db).await?;
/// # Ok(()) }
/// ```
pub struct Tables<'c> {
    connection: &'c mut PgConnection,
    build: u64,
    names: BTreeSet<String>,
}

impl<'c> Tables<'c> {
    pub(crate) fn new(connection: &'c mut PgConnection, build: u64) -> Self {
        Self {
            connection,
            build,
            names: BTreeSet::new(),
        }
    }

    /// `sql`, with the names in braces filled in.
    pub fn sql(&mut self, sql: &'static str) -> AssertSqlSafe<String> {
        let names = &mut self.names;
        AssertSqlSafe(fill_in(sql, self.build, |name| {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }))
    }

    /// Those of the names that were filled in which are tables.
    pub(crate) async fn made(self) -> Result<Vec<String>, StoreError> {
        let mut made = Vec::new();
        for name in self.names {
            let sql = "select exists (select from pg_tables where schemaname = current_schema() and tablename = $1)";
            let found = sqlx::query_scalar(sql).bind(table(&name, self.build));
            let found = found.fetch_one(&mut *self.connection).await;
            if found.map_err(store_error)? {
                made.push(name);
            }
        }
        Ok(made)
    }
}

impl Deref for Tables<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection
    }
}

impl DerefMut for Tables<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection
    }
}

/// Notes down which tables `build` has.
pub(crate) async fn note(
    db: &mut PgConnection,
    model: &dyn ReadModel,
    build: u64,
    tables: &[String],
) -> Result<(), StepError> {
    put(db, tables_key(model.name(), build), tables).await
}

async fn put(db: &mut PgConnection, key: String, names: &[String]) -> Result<(), StepError> {
    let _: Revision = crate::document::change(db, &list(key, names)?).await?;
    Ok(())
}

async fn names(db: &mut PgConnection, key: &str) -> Result<Vec<String>, StoreError> {
    listed(key, document(db, key).await?.as_deref())
}

async fn document(db: &mut PgConnection, key: &str) -> Result<Option<String>, StoreError> {
    let sql = "select value from document where key = $1";
    let value = sqlx::query_scalar(sql).bind(key).fetch_optional(db).await;
    value.map_err(store_error)
}

/// Refuses to make `build` ready once it was dropped.
pub(crate) async fn is_wanted(
    db: &mut PgConnection,
    model: &dyn ReadModel,
    build: u64,
) -> Result<(), StepError> {
    let control = document(db, &control_key(model.name())).await?;
    if wants(control.as_deref(), build)? {
        Ok(())
    } else {
        Err(StepError::Lost)
    }
}

/// From now on the plain names are those of `build`.
pub(crate) async fn show(
    db: &mut PgConnection,
    model: &dyn ReadModel,
    build: u64,
) -> Result<(), StepError> {
    let tables = names(db, &tables_key(model.name(), build)).await?;
    for name in names(db, &views_key(model.name())).await? {
        if !tables.contains(&name) {
            execute(db, format!("drop view if exists {name}")).await?;
        }
    }
    for name in &tables {
        let view = format!("view {name} as select * from {}", table(name, build));
        // What others have granted, or built upon the view, stays, as long as its columns do.
        let mut attempt = db.begin().await.map_err(store_error)?;
        if execute(&mut attempt, format!("create or replace {view}"))
            .await
            .is_ok()
        {
            attempt.commit().await.map_err(store_error)?;
            continue;
        }
        attempt.rollback().await.map_err(store_error)?;
        execute(db, format!("drop view if exists {name}")).await?;
        execute(db, format!("create {view}")).await?;
    }
    put(db, views_key(model.name()), &tables).await
}

/// Drops the tables of `build`.
pub(crate) async fn drop(
    db: &mut PgConnection,
    model: &dyn ReadModel,
    build: u64,
) -> Result<(), StepError> {
    let key = tables_key(model.name(), build);
    for name in names(db, &key).await? {
        execute(db, format!("drop table if exists {}", table(&name, build))).await?;
    }
    let _: Revision = crate::document::change(db, &Changes::new().delete(key)).await?;
    Ok(())
}

async fn execute(db: &mut PgConnection, sql: String) -> Result<(), StoreError> {
    let done = sqlx::query(AssertSqlSafe(sql)).execute(db).await;
    done.map(std::mem::drop).map_err(store_error)
}
