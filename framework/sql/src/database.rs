//! [`SqlDatabase`]: a store whose database also contains read models.

use std::sync::Arc;

use async_trait::async_trait;
use factum_core::document::Revision;
use factum_core::error::StoreError;
use factum_core::store::Store;
use factum_engine::projection::EventsOf;
use factum_runtime::consumer::BatchError;
use futures_util::future::BoxFuture;

use crate::connection::{SqlConnection, SqlTransaction};
use crate::projection_set::SqlProjectSet;
use crate::read_model::SqlReadModel;
use crate::sql::{SqlQuery, StatementTarget};

/// The work of a transaction; it returns the revision of the documents that it changed.
pub type TransactionWork = Box<
    dyn for<'t> FnOnce(&'t mut dyn SqlTransaction) -> BoxFuture<'t, Result<Revision, BatchError>>
        + Send,
>;

/// A store whose database also contains read models.
///
/// Adapters implement the two required methods. Applications use [`read_model`](Self::read_model) and
/// [`query`](Self::query), which work on every database.
#[async_trait]
pub trait SqlDatabase: Store {
    /// Begins a transaction that reads and sees one state of the database; it ends when it is dropped.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database fails.
    async fn begin_read(&self) -> Result<Box<dyn SqlConnection>, StoreError>;

    /// Runs `work` in a transaction that writes, and commits it if `work` succeeds.
    ///
    /// If the future is dropped, the transaction takes place completely or not at all.
    ///
    /// # Errors
    /// Returns the error of `work` or of the database.
    async fn transaction(&self, work: TransactionWork) -> Result<Revision, BatchError>;

    /// Returns the read model of `projection`, in tables of this database.
    fn read_model<P>(&self, projection: P) -> SqlReadModel
    where
        P: SqlProjectSet<EventsOf<P>>,
        Self: Clone + Sized,
    {
        SqlReadModel::new(Arc::new(self.clone()), projection)
    }

    /// Starts a query that reads the database, in a transaction of its own.
    ///
    /// Use the plain names of tables: they are views of the active builds.
    fn query(&self, sql: &'static str) -> SqlQuery<'_>
    where
        Self: Sized,
    {
        SqlQuery::new(StatementTarget::Database(self), sql.to_owned())
    }
}
