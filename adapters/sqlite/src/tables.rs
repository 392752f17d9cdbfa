//! [`Tables`]: the tables of one build of a read model.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use factum::document::{Changes, Revision, Scan};
use factum::projections::{
    Names, TABLES, control_key, fill_in, list, listed, table, tables_key, views_key, wants,
};
use factum::{StepError, StoreError};
use rusqlite::{Connection, Params, Row};
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::document::{change, find};
use crate::error::BackendError;

/// The tables of one build of a read model, and the connection to their file; reads like the connection.
///
/// A read model is rebuilt beside the one that readers see, so its tables have other names in each build. Write them in
/// braces, and let [`sql`](Self::sql) fill them in; readers use the plain names:
///
/// ```
/// # use factum_sqlite::Tables;
/// # async fn add(db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
/// let insert = db.sql("insert into {owner} (account, name) values (?, ?)");
/// sqlx::query(insert).bind("a-1").bind("alice").execute(&mut **db).await?;
/// # Ok(()) }
/// ```
pub struct Tables<'c> {
    connection: &'c mut SqliteConnection,
    build: u64,
    names: BTreeSet<String>,
}

impl<'c> Tables<'c> {
    pub(crate) fn new(connection: &'c mut SqliteConnection, build: u64) -> Self {
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
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection
    }
}

impl DerefMut for Tables<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection
    }
}

/// Which names the tables of `build` of the projection `name` may have.
pub(crate) fn names_of<'n>(
    db: &Connection,
    name: &'n str,
    build: u64,
) -> Result<Names<'n>, StoreError> {
    let sql = "select key, value from factum_document where key = ? or (key >= ? and key < ?)";
    let lists = Scan::prefix(TABLES);
    let bounds = (views_key(name), &lists.prefix, lists.end());
    let documents: Vec<(String, String)> =
        all(db, sql, bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
    // SQLite does not tell capitals from small letters.
    let sql = "select lower(name) from sqlite_master where type <> 'trigger'";
    let there: Vec<String> = all(db, sql, (), |row| row.get(0))?;
    Names::new((name, build), documents, there)
}

/// Those of `names` that are tables in `build`.
pub(crate) fn made(
    db: &Connection,
    names: &BTreeSet<String>,
    build: u64,
) -> Result<Vec<String>, StoreError> {
    let sql = "select lower(name) from sqlite_master where type = 'table'";
    let tables: Vec<String> = all(db, sql, (), |row| row.get(0))?;
    let made = names
        .iter()
        .filter(|name| tables.contains(&table(name, build)));
    Ok(made.cloned().collect())
}

fn all<T>(
    db: &Connection,
    sql: &str,
    parameters: impl Params,
    row: impl Fn(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, BackendError> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes down which tables `build` of the projection `name` has.
pub(crate) fn note(
    db: &Connection,
    name: &str,
    build: u64,
    tables: &[String],
) -> Result<(), StepError> {
    put(db, tables_key(name, build), tables)
}

fn put(db: &Connection, key: String, names: &[String]) -> Result<(), StepError> {
    let _: Revision = change(db, &list(key, names)?)??;
    Ok(())
}

fn names(db: &Connection, key: &str) -> Result<Vec<String>, StoreError> {
    listed(key, value(db, key)?.as_deref())
}

fn value(db: &Connection, key: &str) -> Result<Option<String>, BackendError> {
    let found = find(db, [key])?.pop();
    Ok(found.map(|document| document.value))
}

/// Rejects to make `build` of the projection `name` ready once it was dropped.
pub(crate) fn is_wanted(db: &Connection, name: &str, build: u64) -> Result<(), StepError> {
    let control = value(db, &control_key(name))?;
    if wants(control.as_deref(), build)? {
        Ok(())
    } else {
        Err(StepError::Lost)
    }
}

/// From now on the plain names are those of `build` of the projection `name`.
pub(crate) fn show(db: &Connection, name: &str, build: u64) -> Result<(), StepError> {
    let tables = names(db, &tables_key(name, build))?;
    names_of(db, name, build)?.check(&tables)?;
    for view in names(db, &views_key(name))? {
        execute(db, &format!("drop view if exists {view}"))?;
    }
    for view in &tables {
        let table = table(view, build);
        execute(db, &format!("create view {view} as select * from {table}"))?;
    }
    put(db, views_key(name), &tables)
}

/// Drops the tables of `build` of the projection `name`.
pub(crate) fn drop(db: &Connection, name: &str, build: u64) -> Result<(), StepError> {
    let key = tables_key(name, build);
    for name in names(db, &key)? {
        execute(db, &format!("drop table if exists {}", table(&name, build)))?;
    }
    let _: Revision = change(db, &Changes::new().delete(key))??;
    Ok(())
}

fn execute(db: &Connection, sql: &str) -> Result<(), BackendError> {
    Ok(db.execute_batch(sql)?)
}
