//! [`ViewPool`]: connections whose read transactions last several statements.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use factum_core::document::Document;
use factum_core::error::{BoxError, StoreError};
use factum_sql::{Dialect, SqlConnection, SqlError, SqlRow, SqlValue};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::database_file::DatabaseFile;
use crate::error::{BackendError, store_error};
use crate::{blocking, document, statement, transaction};

/// The time that a caller waits for a connection while all are in use.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Read-only connections, at most a fixed number at a time.
pub struct ViewPool {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    file: DatabaseFile,
}

impl ViewPool {
    pub fn new(file: DatabaseFile, max_connections: u32) -> Self {
        Self {
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(max_connections as usize)),
            file,
        }
    }

    /// Begins a transaction that reads.
    pub async fn begin(&self) -> Result<ReadTransaction, StoreError> {
        blocking::runtime()?;
        let acquire = self.permits.clone().acquire_owned();
        let permit = match tokio::time::timeout(ACQUIRE_TIMEOUT, acquire).await {
            Ok(permit) => permit.map_err(|_| StoreError::Closed)?,
            Err(elapsed) => return Err(StoreError::Unavailable(elapsed.into())),
        };
        let (idle, file) = (self.idle.clone(), self.file.clone());
        let begun = blocking::run(move || {
            file.check()?;
            let connection = lock(&idle).pop();
            let connection = match connection {
                Some(connection) => connection,
                None => file.connect_to_read()?,
            };
            // A deferred transaction sees the state at its first read.
            connection.execute_batch("begin; select 1 from sqlite_master")?;
            let lease = ConnectionLease {
                connection: Some(connection),
                idle,
                _permit: permit,
            };
            Ok::<_, BackendError>(lease)
        });
        let lease = begun.await??;
        Ok(ReadTransaction(Some(lease)))
    }

    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Closes the idle connections. Later calls fail with [`StoreError::Closed`].
    pub fn close(&self) {
        self.permits.close();
        lock(&self.idle).clear();
    }
}

/// A connection, which returns to the pool when this is dropped.
struct ConnectionLease {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ConnectionLease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let is_idle = connection.is_autocommit() || connection.execute_batch("rollback").is_ok();
        if is_idle && !self._permit.semaphore().is_closed() {
            lock(&self.idle).push(connection);
        }
    }
}

/// A transaction that reads. Its statements run on threads for blocking work.
///
/// It is `None` inside only while a statement runs; a statement whose future was dropped takes it along.
pub struct ReadTransaction(Option<ConnectionLease>);

impl ReadTransaction {
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let lease = self.0.take().ok_or_else(cancelled)?;
        let done = blocking::run(move || {
            let result = match &lease.connection {
                Some(connection) => work(connection),
                None => Err(cancelled()),
            };
            (lease, result)
        });
        let (lease, result) = done.await?;
        self.0 = Some(lease);
        result
    }
}

fn cancelled() -> SqlError {
    SqlError::driver("an earlier statement of the view was cancelled; open another view")
}

#[async_trait]
impl SqlConnection for ReadTransaction {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<u64, SqlError> {
        let (sql, values) = (sql.to_owned(), values.to_vec());
        self.run(move |db| statement::execute(db, &sql, &values))
            .await
    }

    async fn execute_script(&mut self, sql: &str) -> Result<(), SqlError> {
        let sql = sql.to_owned();
        self.run(move |db| statement::execute_script(db, &sql))
            .await
    }

    async fn fetch(
        &mut self,
        sql: &str,
        values: &[SqlValue],
        limit: usize,
    ) -> Result<Vec<SqlRow>, SqlError> {
        let (sql, values) = (sql.to_owned(), values.to_vec());
        self.run(move |db| statement::fetch(db, &sql, &values, limit))
            .await
    }

    async fn find_documents(&mut self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        let keys = keys.to_vec();
        let find = move |db: &Connection| Ok(document::find(db, keys.iter().map(String::as_str)));
        let found = self.run(find).await;
        Ok(found.map_err(|error| StoreError::Failed(error.into()))??)
    }

    async fn check(&mut self) -> Result<(), SqlError> {
        self.run(transaction::check).await
    }

    fn driver(&mut self) -> &mut (dyn Any + Send) {
        match &mut self.0 {
            Some(ConnectionLease {
                connection: Some(connection),
                ..
            }) => connection,
            // Not a connection: the caller gets `None`.
            other => other,
        }
    }

    fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError> {
        store_error(error)
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
