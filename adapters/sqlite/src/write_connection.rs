//! [`WriteConnection`]: the connection that writes, its lock, and its transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::warn;
use uuid::Uuid;

use crate::blocking;
use crate::database_file::DatabaseFile;
use crate::error::BackendError;
use crate::record;
use crate::writer_cache::{LogEnd, WriterCache};

/// The lock of the connection that writes, granted in order of arrival.
#[derive(Clone)]
pub struct WriteLock(Arc<LockState>);

struct LockState {
    /// Empty once the store is closed.
    writer: Arc<Mutex<Option<WriteConnection>>>,
    /// Set if the holder must close the connection when its work ends.
    is_closed: AtomicBool,
}

/// The connection, while its lock is held.
pub struct WriteGuard {
    writer: OwnedMutexGuard<Option<WriteConnection>>,
    state: Arc<LockState>,
}

impl WriteGuard {
    /// Returns the connection, or `None` if the store is closed.
    pub fn connection(&mut self) -> Option<&mut WriteConnection> {
        self.writer.as_mut()
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        if self.state.is_closed.load(SeqCst)
            && let Some(writer) = self.writer.take()
        {
            writer.close();
        }
    }
}

impl WriteLock {
    pub fn new(writer: WriteConnection) -> Self {
        Self(Arc::new(LockState {
            writer: Arc::new(Mutex::new(Some(writer))),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Takes the lock; blocks the thread.
    pub fn blocking_lock(&self) -> WriteGuard {
        self.guard(self.0.writer.clone().blocking_lock_owned())
    }

    fn guard(&self, writer: OwnedMutexGuard<Option<WriteConnection>>) -> WriteGuard {
        let state = self.0.clone();
        WriteGuard { writer, state }
    }

    /// Runs `work` with the connection on a thread for blocking work.
    ///
    /// After `work` has begun, it continues to its end even if the future is dropped.
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut WriteConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut guard = self.guard(self.0.writer.clone().lock_owned().await);
        let done = blocking::run(move || match guard.connection() {
            Some(writer) => work(writer),
            None => Err(StoreError::Closed.into()),
        });
        done.await.unwrap_or_else(|error| Err(error.into()))
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(SeqCst)
    }

    /// Closes the connection as soon as its holder has ended its work.
    pub fn close_when_free(&self) {
        self.0.is_closed.store(true, SeqCst);
        if let Ok(free) = self.0.writer.clone().try_lock_owned() {
            drop(self.guard(free));
        }
    }

    /// Waits for the holder, and closes the connection.
    pub async fn close(&self) {
        self.0.is_closed.store(true, SeqCst);
        let guard = self.guard(self.0.writer.clone().lock_owned().await);
        // A panic has dropped the connection, which closes it.
        let _ = blocking::run(move || drop(guard)).await;
    }
}

/// The only connection of this process that writes.
pub struct WriteConnection {
    file: DatabaseFile,
    /// The open connection, or `None` after a failure; it is opened again when it is needed.
    opened: Option<OpenConnection>,
}

struct OpenConnection {
    connection: Connection,
    cache: WriterCache,
}

impl OpenConnection {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            cache: WriterCache::new(),
        }
    }
}

impl WriteConnection {
    pub fn new(file: DatabaseFile, connection: Connection) -> Self {
        let opened = Some(OpenConnection::new(connection));
        Self { file, opened }
    }

    /// Takes the write lock of the file, and refreshes the cache; blocks the thread.
    pub fn begin(&mut self) -> Result<WriteTransaction<'_>, BackendError> {
        self.file.check()?;
        let OpenConnection { connection, cache } = self.open_idle()?;
        connection.prepare_cached("begin immediate")?.execute([])?;
        let data_version: i64 = connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if cache.data_version != Some(data_version) {
            cache.refresh(data_version, load_end(connection)?);
        }
        let changes_before = connection.total_changes();
        Ok(WriteTransaction {
            connection,
            cache,
            changes_before,
        })
    }

    /// Runs `work` in a transaction that does not append, and commits it if it succeeds; blocks the thread.
    pub fn transaction<T, E: From<BackendError>>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.file.check()?;
        let connection = &mut self.open_idle()?.connection;
        let begun = connection.execute_batch("begin immediate");
        let done = match begun.map_err(BackendError::from) {
            Ok(()) => work(connection),
            Err(error) => Err(error.into()),
        };
        let done = done.and_then(|done| {
            let committed = connection.execute_batch("commit");
            committed.map_err(BackendError::commit)?;
            Ok(done)
        });
        if done.is_err() {
            self.roll_back();
            return done;
        }
        self.verify_file()?;
        done
    }

    /// Fails if the file that the last transaction has changed is not the one at the path any more.
    pub fn verify_file(&self) -> Result<(), BackendError> {
        self.file.verify()
    }

    /// Opens the connection if needed, and ends a transaction that is still open.
    fn open_idle(&mut self) -> Result<&mut OpenConnection, BackendError> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            none => none.insert(OpenConnection::new(self.file.connect_to_write(false)?)),
        };
        end_transaction(&opened.connection)?;
        Ok(opened)
    }

    /// Invalidates the cache, and rolls back or discards the connection, depending on `error`.
    pub fn reset_after(&mut self, error: &BackendError) {
        if let Some(OpenConnection { cache, .. }) = &mut self.opened {
            cache.invalidate();
        }
        match error.breaks_connection() {
            true => self.discard(),
            false => self.roll_back(),
        }
    }

    fn roll_back(&mut self) {
        let Some(OpenConnection { connection, .. }) = &self.opened else {
            return;
        };
        if let Err(error) = end_transaction(connection) {
            warn!(%error, "cannot roll back a transaction, opening a new connection");
            self.discard();
        }
    }

    /// Drops the connection; the next transaction opens a new one.
    pub fn discard(&mut self) {
        self.opened = None;
    }

    /// Closes the connection; blocks the thread.
    fn close(self) {
        if let Some(opened) = self.opened
            && let Err((_, error)) = opened.connection.close()
        {
            warn!(%error, "cannot close the writer's connection");
        }
    }
}

/// Rolls back the open transaction, if there is one. SQLite ends some failed transactions by itself.
fn end_transaction(connection: &Connection) -> Result<(), BackendError> {
    if !connection.is_autocommit() {
        connection.execute_batch("rollback")?;
    }
    Ok(())
}

fn load_end(connection: &Connection) -> Result<LogEnd, BackendError> {
    let mut statement = connection.prepare_cached(include_str!("sql/log_end.sql"))?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let last_id_run = match row.get_ref(3)? {
        ValueRef::Null => None,
        // A damaged id is reported when it is read.
        id => Some(record::uuid(id, "id").unwrap_or(Uuid::max())),
    };
    Ok(LogEnd {
        head: Position::new(row.get::<_, i64>(0)? as u64),
        recorded_at: Timestamp::from_micros(row.get(1)?),
        last_stream_key: row.get(2)?,
        last_id_run,
    })
}

/// A transaction that holds the write lock of the file.
///
/// It is ended by [`end`](Self::end), or after an error by [`WriteConnection::reset_after`].
pub struct WriteTransaction<'w> {
    pub connection: &'w mut Connection,
    pub cache: &'w mut WriterCache,
    /// The number of rows that the connection had changed before the transaction.
    changes_before: u64,
}

impl WriteTransaction<'_> {
    /// Commits if anything was changed; the outcome of a failed commit is unknown.
    pub fn end(self) -> Result<(), BackendError> {
        if self.connection.total_changes() == self.changes_before {
            self.connection.prepare_cached("rollback")?.execute([])?;
            return Ok(());
        }
        let mut commit = self.connection.prepare_cached("commit")?;
        commit.execute([]).map(drop).map_err(BackendError::commit)
    }
}

#[cfg(test)]
mod tests;
