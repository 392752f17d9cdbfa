//! [`PostgresTransaction`] and [`ReadTransaction`]: the transactions of projections and views.

use std::any::Any;

use async_trait::async_trait;
use factum_core::document::{Document, DocumentChanges, DocumentError, Revision, Scan};
use factum_core::error::{BoxError, StoreError};
use factum_core::read::{Page, Read};
use factum_sql::{Dialect, Relation, SqlConnection, SqlError, SqlRow, SqlTransaction, SqlValue};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Postgres, Transaction};

use crate::error::{BackendError, is_transient, store_error};
use crate::stream_ids::StreamIds;
use crate::transaction::execute_rollback;
use crate::{document, statement};

/// A projection ignored the error of a statement, which makes the server undo the whole transaction.
#[derive(Debug, thiserror::Error)]
#[error(
    "the projection ignored an error of the database, which undoes the whole transaction: return it, or avoid it with \
     `on conflict` or a savepoint"
)]
pub struct IgnoredError;

/// A transaction that writes.
pub struct PostgresTransaction<'c> {
    db: &'c mut PgConnection,
    stream_ids: &'c StreamIds,
    /// Set if a statement may have failed since the last check.
    ///
    /// It is set after a failed statement, after its future was dropped, and after the driver was used.
    unchecked: bool,
}

impl<'c> PostgresTransaction<'c> {
    pub fn new(db: &'c mut PgConnection, stream_ids: &'c StreamIds) -> Self {
        Self {
            db,
            stream_ids,
            unchecked: false,
        }
    }
}

#[async_trait]
impl SqlConnection for PostgresTransaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError> {
        let unchecked = std::mem::replace(&mut self.unchecked, true);
        let changed = statement::execute(self.db, sql, values).await?;
        self.unchecked = unchecked;
        Ok(changed)
    }

    async fn execute_script(&mut self, sql: &str) -> Result<(), SqlError> {
        let unchecked = std::mem::replace(&mut self.unchecked, true);
        statement::execute_script(self.db, sql).await?;
        self.unchecked = unchecked;
        Ok(())
    }

    async fn fetch(
        &mut self,
        sql: &str,
        values: &[SqlValue],
        limit: usize,
    ) -> Result<Vec<SqlRow>, SqlError> {
        let unchecked = std::mem::replace(&mut self.unchecked, true);
        let rows = statement::fetch(self.db, sql, values, limit).await?;
        self.unchecked = unchecked;
        Ok(rows)
    }

    async fn find_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        document::find(&mut *self.db, keys).await
    }

    async fn check(&mut self) -> Result<(), SqlError> {
        // A failed `begin` has lowered the transaction counter of sqlx to zero: no statement may follow.
        if !self.db.is_in_transaction() {
            return Err(SqlError::driver(IgnoredError));
        }
        if !self.unchecked {
            return Ok(());
        }
        let sql = "savepoint probe; release savepoint probe";
        let Err(error) = sqlx::raw_sql(sql).execute(&mut *self.db).await else {
            self.unchecked = false;
            return Ok(());
        };
        let error = BackendError::from(error);
        Err(match error.follows_ignored_error() {
            true => SqlError::driver(IgnoredError),
            false => StoreError::from(error.into_not_executed()).into(),
        })
    }

    fn driver(&mut self) -> &mut (dyn Any + Send) {
        self.unchecked = true;
        self.db
    }

    fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError> {
        to_store_error(error)
    }
}

#[async_trait]
impl SqlTransaction for PostgresTransaction<'_> {
    async fn change_documents(
        &mut self,
        changes: &DocumentChanges,
    ) -> Result<Revision, DocumentError> {
        document::change(self.db, changes).await
    }

    async fn lock_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        document::find_for_update(self.db, keys).await
    }

    async fn scan_documents(&mut self, scan: &Scan) -> Result<Vec<Document>, StoreError> {
        document::scan(&mut *self.db, scan).await
    }

    async fn read_events(&mut self, read: &Read) -> Result<Page, StoreError> {
        let page = crate::read::page(self.db, self.stream_ids, read).await;
        page.map_err(|error| error.into_not_executed().into())
    }

    async fn roll_back_to(&mut self, savepoint: &str) -> Result<(), StoreError> {
        let sql = format!("rollback to savepoint {savepoint}; release savepoint {savepoint}");
        execute_rollback(self.db, &sql).await.map_err(store_error)?;
        self.unchecked = false;
        Ok(())
    }

    async fn lock_tables(&mut self, projection: &str) -> Result<(), StoreError> {
        let sql = "select pg_advisory_xact_lock(hashtextextended(current_schema() || $1, 7305803126914704))";
        let locked = sqlx::query(sql)
            .bind(projection)
            .execute(&mut *self.db)
            .await;
        locked.map(drop).map_err(store_error)
    }

    async fn relations(&mut self) -> Result<Vec<Relation>, StoreError> {
        // Unqualified names of the system catalog have precedence over those of any schema.
        let sql = "select relname::text, relkind in ('r', 'p') from pg_class \
                   where relnamespace in (current_schema()::regnamespace, 'pg_catalog'::regnamespace)";
        let relations: Result<Vec<(String, bool)>, _> =
            sqlx::query_as(sql).fetch_all(&mut *self.db).await;
        let relations = relations.map_err(store_error)?.into_iter();
        let relations = relations.map(|(name, is_table)| Relation { name, is_table });
        Ok(relations.collect())
    }
}

/// A transaction that reads.
pub struct ReadTransaction(pub Transaction<'static, Postgres>);

#[async_trait]
impl SqlConnection for ReadTransaction {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError> {
        statement::execute(&mut self.0, sql, values).await
    }

    async fn execute_script(&mut self, sql: &str) -> Result<(), SqlError> {
        statement::execute_script(&mut self.0, sql).await
    }

    async fn fetch(
        &mut self,
        sql: &str,
        values: &[SqlValue],
        limit: usize,
    ) -> Result<Vec<SqlRow>, SqlError> {
        statement::fetch(&mut self.0, sql, values, limit).await
    }

    async fn find_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        document::find(&mut *self.0, keys).await
    }

    async fn check(&mut self) -> Result<(), SqlError> {
        Ok(())
    }

    fn driver(&mut self) -> &mut (dyn Any + Send) {
        &mut *self.0
    }

    fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError> {
        to_store_error(error)
    }
}

/// Converts `error` if the server or another transaction is its cause, and not a statement or an event.
fn to_store_error(error: BoxError) -> Result<StoreError, BoxError> {
    match is_transient(&*error) {
        true => Ok(StoreError::Unavailable(error.into())),
        false => Err(error),
    }
}
