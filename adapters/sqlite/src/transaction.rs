//! [`SqliteTransaction`]: the transaction of the connection that writes, for projections.

use std::any::Any;

use async_trait::async_trait;
use factum_core::document::{Document, DocumentChanges, DocumentError, Revision, Scan};
use factum_core::error::{BoxError, StoreError};
use factum_core::read::{Page, Read};
use factum_sql::{Dialect, Relation, SqlConnection, SqlError, SqlRow, SqlTransaction, SqlValue};
use rusqlite::Connection;

use crate::error::{BackendError, store_error};
use crate::{document, read, statement};

/// A transaction that holds the write lock of the file. Its statements block the thread.
pub struct SqliteTransaction<'c>(pub &'c mut Connection);

#[async_trait]
impl SqlConnection for SqliteTransaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError> {
        statement::execute(self.0, sql, values)
    }

    async fn execute_script(&mut self, sql: &str) -> Result<(), SqlError> {
        statement::execute_script(self.0, sql)
    }

    async fn fetch(
        &mut self,
        sql: &str,
        values: &[SqlValue],
        limit: usize,
    ) -> Result<Vec<SqlRow>, SqlError> {
        statement::fetch(self.0, sql, values, limit)
    }

    async fn find_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        Ok(document::find(self.0, keys.iter().map(String::as_str))?)
    }

    async fn check(&mut self) -> Result<(), SqlError> {
        check(self.0)
    }

    fn driver(&mut self) -> &mut (dyn Any + Send) {
        self.0
    }

    fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError> {
        store_error(error)
    }
}

#[async_trait]
impl SqlTransaction for SqliteTransaction<'_> {
    async fn change_documents(
        &mut self,
        changes: &DocumentChanges,
    ) -> Result<Revision, DocumentError> {
        document::change(self.0, changes)?
    }

    async fn lock_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        // The transaction holds the write lock of the file.
        self.find_documents(keys).await
    }

    async fn scan_documents(&mut self, scan: &Scan) -> Result<Vec<Document>, StoreError> {
        Ok(document::scan(self.0, scan)?)
    }

    async fn read_events(&mut self, read: &Read) -> Result<Page, StoreError> {
        Ok(read::page(self.0, read)?)
    }

    async fn roll_back_to(&mut self, savepoint: &str) -> Result<(), StoreError> {
        let sql = format!("rollback to {savepoint}; release {savepoint}");
        Ok(self.0.execute_batch(&sql).map_err(BackendError::from)?)
    }

    async fn lock_tables(&mut self, _: &str) -> Result<(), StoreError> {
        // The transaction holds the write lock of the file.
        Ok(())
    }

    async fn relations(&mut self) -> Result<Vec<Relation>, StoreError> {
        Ok(relations(self.0)?)
    }
}

/// Fails if SQLite has ended the transaction: later statements would be committed one by one.
pub fn check(db: &Connection) -> Result<(), SqlError> {
    match db.is_autocommit() {
        true => {
            let reason = "a statement that failed has ended the transaction: return its error";
            Err(SqlError::driver(reason))
        }
        false => Ok(()),
    }
}

fn relations(db: &Connection) -> Result<Vec<Relation>, BackendError> {
    // SQLite ignores the case of names.
    let sql = "select lower(name), type = 'table' from sqlite_master where type <> 'trigger'";
    let mut statement = db.prepare_cached(sql)?;
    let relations = statement.query_map((), |row| {
        Ok(Relation {
            name: row.get(0)?,
            is_table: row.get(1)?,
        })
    })?;
    Ok(relations.collect::<Result<_, _>>()?)
}
