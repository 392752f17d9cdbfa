//! [`Tables`]: the tables of one build of a read model.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use factum_core::document::{Changes, Revision, Scan};
use factum::projections::{
    Names, TABLES, control_key, fill_in, list, listed, table, tables_key, views_key, wants,
};
use factum::StepError;
use factum_core::error::StoreError;
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

    /// The names that were filled in.
    pub(crate) fn into_names(self) -> BTreeSet<String> {
        self.names
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

/// Which names the tables of `build` may have.
pub(crate) async fn names_of<'m>(
    db: &mut PgConnection,
    name: &'m str,
    build: u64,
) -> Result<Names<'m>, StoreError> {
    let sql = "select key, value from document where key = $1 or (key >= $2 and key < $3)";
    let lists = Scan::prefix(TABLES);
    let documents: Result<Vec<(String, String)>, _> = sqlx::query_as(sql)
        .bind(views_key(name))
        .bind(&lists.prefix)
        .bind(lists.end())
        .fetch_all(&mut *db)
        .await;
    let sql =
        "select relname::text from pg_class where relnamespace = current_schema()::regnamespace";
    let there: Result<Vec<String>, _> = sqlx::query_scalar(sql).fetch_all(db).await;
    Names::new(
        (name, build),
        documents.map_err(store_error)?,
        there.map_err(store_error)?,
    )
}

/// Those of `names` that are tables in `build`.
pub(crate) async fn made(
    db: &mut PgConnection,
    names: &BTreeSet<String>,
    build: u64,
) -> Result<Vec<String>, StoreError> {
    let sql = "select tablename::text from pg_tables where schemaname = current_schema()";
    let tables: Result<Vec<String>, _> = sqlx::query_scalar(sql).fetch_all(db).await;
    let tables = tables.map_err(store_error)?;
    let made = names
        .iter()
        .filter(|name| tables.contains(&table(name, build)));
    Ok(made.cloned().collect())
}

/// Notes down which tables `build` has.
pub(crate) async fn note(
    db: &mut PgConnection,
    name: &str,
    build: u64,
    tables: &[String],
) -> Result<(), StepError> {
    put(db, tables_key(name, build), tables).await
}

async fn put(db: &mut PgConnection, key: String, names: &[String]) -> Result<(), StepError> {
    let _: Revision = crate::document::change(db, &list(key, names)?).await?;
    Ok(())
}

async fn names(db: &mut PgConnection, key: &str) -> Result<Vec<String>, StoreError> {
    listed(key, document(db, key).await?.as_deref())
}

async fn document(db: &mut PgConnection, key: &str) -> Result<Option<String>, StoreError> {
    let found = crate::document::find(db, &[key.to_owned()]).await?.pop();
    Ok(found.map(|document| document.value))
}

/// Rejects to make `build` ready once it was dropped.
pub(crate) async fn is_wanted(
    db: &mut PgConnection,
    name: &str,
    build: u64,
) -> Result<(), StepError> {
    let control = document(db, &control_key(name)).await?;
    if wants(control.as_deref(), build)? {
        Ok(())
    } else {
        Err(StepError::Lost)
    }
}

/// From now on the plain names are those of `build`.
pub(crate) async fn show(db: &mut PgConnection, name: &str, build: u64) -> Result<(), StepError> {
    let tables = names(db, &tables_key(name, build)).await?;
    names_of(db, name, build).await?.check(&tables)?;
    for name in names(db, &views_key(name)).await? {
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
    put(db, views_key(name), &tables).await
}

/// Drops the tables of `build`.
pub(crate) async fn drop(db: &mut PgConnection, name: &str, build: u64) -> Result<(), StepError> {
    let key = tables_key(name, build);
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
