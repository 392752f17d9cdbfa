//! [`WriteConnection`]: the connection that writes, its lock, and its transactions.

use factum::{Position, Timestamp};
use rusqlite::Connection;
use sqlx::sqlite::SqliteArguments;
use sqlx::{ConnectOptions as _, Sqlite, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;

use crate::database_file::DatabaseFile;
use crate::error::BackendError;
use crate::pair::{Pair, wait};
use crate::writer_cache::{LogEnd, WriterCache};

/// The lock of the connection that writes, granted in order of arrival; empty once the store is closed.
pub struct WriteLock(Mutex<Option<WriteConnection>>);

impl WriteLock {
    pub fn new(writer: WriteConnection) -> Self {
        Self(Mutex::new(Some(writer)))
    }

    pub async fn lock(&self) -> MutexGuard<'_, Option<WriteConnection>> {
        self.0.lock().await
    }

    pub fn blocking_lock(&self) -> MutexGuard<'_, Option<WriteConnection>> {
        self.0.blocking_lock()
    }

    /// Executes one statement in a transaction of its own.
    pub async fn execute(
        &self,
        statement: sqlx::query::Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<(), BackendError> {
        let mut writer = self.lock().await;
        let writer = writer.as_mut().ok_or(BackendError::Closed)?;
        let executed = async {
            let pair = writer.pair().await?;
            statement.execute(pair.sqlx()?).await?;
            Ok(())
        };
        let executed: Result<(), BackendError> = executed.await;
        if let Err(error) = &executed {
            writer.reset_after(error).await;
        }
        executed
    }
}

/// The only connection of this process that writes.
pub struct WriteConnection {
    file: DatabaseFile,
    /// The open connection, or `None` after a failure; it is opened again when it is needed.
    opened: Option<OpenConnection>,
}

struct OpenConnection {
    pair: Pair,
    cache: WriterCache,
}

impl OpenConnection {
    async fn new(connection: SqliteConnection) -> Result<Self, BackendError> {
        Ok(Self {
            pair: Pair::new(connection).await?,
            cache: WriterCache::new(),
        })
    }
}

impl WriteConnection {
    pub async fn new(
        file: DatabaseFile,
        connection: SqliteConnection,
    ) -> Result<Self, BackendError> {
        let opened = Some(OpenConnection::new(connection).await?);
        Ok(Self { file, opened })
    }

    /// Takes the write lock of the file, and refreshes the cache; blocks the thread.
    pub fn begin(&mut self) -> Result<WriteTransaction<'_>, BackendError> {
        let OpenConnection { pair, cache } = wait(self.open_idle())?;
        let connection = wait(pair.rusqlite())?;
        connection.prepare_cached("begin immediate")?.execute([])?;
        let data_version: i64 = connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if cache.data_version != Some(data_version) {
            cache.refresh(data_version, load_end(connection)?);
        }
        let changes_before = connection.total_changes();
        Ok(WriteTransaction {
            pair,
            cache,
            changes_before,
        })
    }

    /// Returns the connection outside of any transaction.
    pub async fn pair(&mut self) -> Result<&mut Pair, BackendError> {
        Ok(&mut self.open_idle().await?.pair)
    }

    /// Takes the write lock of the file without blocking the thread, and returns the connection.
    pub async fn begin_async(&mut self) -> Result<&mut Pair, BackendError> {
        let pair = self.pair().await?;
        let begin = sqlx::query("begin immediate").execute(pair.sqlx()?);
        begin.await?;
        Ok(pair)
    }

    /// Opens the connection if needed, and ends a transaction that is still open.
    async fn open_idle(&mut self) -> Result<&mut OpenConnection, BackendError> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            none => {
                let connection = self.file.write_options().connect().await?;
                none.insert(OpenConnection::new(connection).await?)
            }
        };
        end_transaction(&mut opened.pair).await?;
        Ok(opened)
    }

    /// Invalidates the cache, and rolls back or discards the connection, depending on `error`.
    pub async fn reset_after(&mut self, error: &BackendError) {
        if let Some(OpenConnection { cache, .. }) = &mut self.opened {
            cache.invalidate();
        }
        match error.breaks_connection() {
            true => self.discard(),
            false => self.roll_back().await,
        }
    }

    pub async fn roll_back(&mut self) {
        let Some(OpenConnection { pair, .. }) = &mut self.opened else {
            return;
        };
        if let Err(error) = end_transaction(pair).await {
            warn!(%error, "cannot roll back a transaction, opening a new connection");
            self.discard();
        }
    }

    /// Drops the connection; the next transaction opens a new one.
    pub fn discard(&mut self) {
        self.opened = None;
    }

    pub async fn close(self) -> Result<(), BackendError> {
        match self.opened {
            Some(opened) => opened.pair.close().await,
            None => Ok(()),
        }
    }
}

/// Rolls back the open transaction, if there is one.
///
/// A dropped future may have left one open. SQLite ends some failed transactions by itself.
async fn end_transaction(pair: &mut Pair) -> Result<(), BackendError> {
    let connection = pair.rusqlite().await?;
    if !connection.is_autocommit() {
        connection.execute_batch("rollback")?;
    }
    Ok(())
}

fn load_end(connection: &Connection) -> Result<LogEnd, BackendError> {
    let mut statement = connection.prepare_cached(include_str!("sql/log_end.sql"))?;
    let end = statement.query_row([], |row| {
        Ok(LogEnd {
            head: Position::new(row.get::<_, i64>(0)? as u64),
            recorded_at: Timestamp::from_micros(row.get(1)?),
            last_stream_key: row.get(2)?,
        })
    });
    Ok(end?)
}

/// A transaction that holds the write lock of the file.
///
/// It is ended by [`end`](Self::end), or after an error by [`WriteConnection::reset_after`].
pub struct WriteTransaction<'w> {
    pub pair: &'w mut Pair,
    pub cache: &'w mut WriterCache,
    /// The number of rows that the connection had changed before the transaction.
    changes_before: u64,
}

impl WriteTransaction<'_> {
    pub fn connection(&mut self) -> Result<&Connection, BackendError> {
        wait(self.pair.rusqlite())
    }

    /// Commits if anything was changed; the outcome of a failed commit is unknown.
    pub fn end(mut self) -> Result<(), BackendError> {
        let changes_before = self.changes_before;
        let connection = self.connection()?;
        let end = match connection.total_changes() == changes_before {
            true => "rollback",
            false => "commit",
        };
        connection.prepare_cached(end)?.execute([])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
