//! [`SqlDatabase`]: a store whose database also contains read models.

use async_trait::async_trait;
use factum_core::document::Revision;
use factum_core::error::StoreError;
use factum_core::store::Store;
use factum_runtime::consumer::BatchError;
use futures_util::future::BoxFuture;

use crate::connection::{SqlConnection, SqlTransaction};

/// The work of a transaction; it returns the revision of the documents that it changed.
pub type TransactionWork = Box<
    dyn for<'t> FnOnce(&'t mut dyn SqlTransaction) -> BoxFuture<'t, Result<Revision, BatchError>>
        + Send,
>;

/// A store whose database also contains read models.
///
/// Adapters implement it. Applications call the methods of [`SqlDatabaseExt`](crate::SqlDatabaseExt), which work on every
/// database.
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

    /// Returns whether appends to this store update the projection `name`.
    ///
    /// Such a projection has no keys of personal data, so the consumer that builds it does not get them either.
    fn is_inline(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}
