//! [`SqlConnection`] and [`SqlTransaction`]: the traits that an adapter implements on its connections.

use std::any::Any;

use async_trait::async_trait;
use factum_core::document::{Document, DocumentChanges, DocumentError, Revision, Scan};
use factum_core::error::{BoxError, StoreError};
use factum_core::read::{Page, Read};

use crate::error::SqlError;
use crate::row::SqlRow;
use crate::value::SqlValue;

/// The SQL dialect of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// A connection inside of a transaction that executes statements. For adapters.
///
/// Parameters are written `$1`, `$2` and so on.
#[async_trait]
pub trait SqlConnection: Send {
    /// Returns the dialect of the database.
    fn dialect(&self) -> Dialect;

    /// Executes one statement, and returns the number of rows that it changed.
    async fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError>;

    /// Executes several statements without parameters, separated by semicolons.
    async fn execute_script(&mut self, sql: &str) -> Result<(), SqlError>;

    /// Executes one query, and returns at most `limit` of its rows.
    async fn fetch(
        &mut self,
        sql: &str,
        values: &[SqlValue],
        limit: usize,
    ) -> Result<Vec<SqlRow>, SqlError>;

    /// Returns the documents with these `keys` that exist.
    async fn find_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError>;

    /// Checks that the transaction still accepts statements.
    ///
    /// Fails if earlier code has ignored an error that ended the transaction.
    async fn check(&mut self) -> Result<(), SqlError>;

    /// Returns the connection of the driver, for statements that this trait does not cover.
    fn driver(&mut self) -> &mut (dyn Any + Send);

    /// Converts an error of a projection into a [`StoreError`], if the database is its cause.
    ///
    /// Examples are a lost connection, a lock or a lack of space, but not an invalid statement or event.
    ///
    /// # Errors
    /// Returns the error itself otherwise.
    fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError>;
}

/// A transaction that writes. For adapters.
#[async_trait]
pub trait SqlTransaction: SqlConnection {
    /// Makes changes of documents inside of the transaction.
    ///
    /// # Errors
    /// Returns [`DocumentError`]; the transaction must be rolled back then.
    async fn change_documents(
        &mut self,
        changes: &DocumentChanges,
    ) -> Result<Revision, DocumentError>;

    /// Returns the documents with these `keys` that exist, and locks them.
    ///
    /// No other transaction changes them until this one ends.
    async fn lock_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError>;

    /// Returns the documents that `scan` selects.
    async fn scan_documents(&mut self, scan: &Scan) -> Result<Vec<Document>, StoreError>;

    /// Returns a page of events, including those that the transaction has appended.
    async fn read_events(&mut self, read: &Read) -> Result<Page, StoreError>;

    /// Rolls back to a savepoint, and releases it.
    async fn roll_back_to(&mut self, savepoint: &str) -> Result<(), StoreError>;

    /// Waits until no other transaction creates or drops tables of `projection`.
    async fn lock_tables(&mut self, projection: &str) -> Result<(), StoreError>;

    /// Returns the tables, views and indexes of the schema.
    async fn relations(&mut self) -> Result<Vec<Relation>, StoreError>;
}

/// A table, view or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The name; in lower case if the database ignores the case of names.
    pub name: String,
    /// Set if it is a table.
    pub is_table: bool,
}
