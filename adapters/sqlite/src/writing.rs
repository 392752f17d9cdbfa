//! [`Writing`]: the connection that appends, and its transactions.

use factum::{Position, StreamId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::Fault;
use crate::known::{End, Known, Stream};
use crate::open::File;

/// The one connection of this process that appends.
pub(crate) struct Writing {
    file: File,
    /// `None`: it failed, and is opened again when it is needed.
    connection: Option<Connection>,
    pub(crate) known: Known,
}

impl Writing {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            connection: None,
            known: Known::nothing(),
        }
    }

    /// Takes the write lock of the file, and learns what others have written.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.file.connect_to_write()?),
        };
        connection.prepare_cached("begin immediate")?.execute([])?;
        let data_version: i64 = connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if self.known.data_version != Some(data_version) {
            let end = end(connection)?;
            self.known.others_wrote(data_version, end);
        }
        Ok(Transaction {
            connection,
            known: &mut self.known,
        })
    }

    /// After this, the next transaction starts afresh, whatever state the last one was left in.
    pub(crate) fn end_after_failure(&mut self, fault: &Fault) {
        self.known.forget();
        let Some(connection) = &self.connection else {
            return;
        };
        // SQLite ends some transactions by itself when they fail.
        let ended = match connection.is_autocommit() {
            true => Ok(()),
            false => connection.execute_batch("rollback"),
        };
        if let Err(error) = &ended {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
        if ended.is_err() || fault.is_of_the_connection() {
            self.connection = None;
        }
    }
}

fn end(connection: &Connection) -> Result<End, Fault> {
    let mut statement = connection.prepare_cached(include_str!("sql/head.sql"))?;
    let end = statement.query_row([], |row| {
        Ok(End {
            head: Position::new(row.get::<_, i64>(0)? as u64),
            recorded_at: Timestamp::from_micros(row.get(1)?),
            last_key: row.get(2)?,
        })
    });
    Ok(end?)
}

/// Whoever holds it has the write lock of the file. It is ended by one of its methods, or by
/// [`Writing::end_after_failure`].
pub(crate) struct Transaction<'w> {
    pub(crate) connection: &'w Connection,
    pub(crate) known: &'w mut Known,
}

impl Transaction<'_> {
    /// Makes it durable. If that fails, whether it is durable is not known.
    pub(crate) fn commit(self) -> Result<(), Fault> {
        self.connection.prepare_cached("commit")?.execute([])?;
        Ok(())
    }

    /// Ends it where nothing was changed, without forgetting what is known.
    pub(crate) fn release(self) -> Result<(), Fault> {
        self.connection.prepare_cached("rollback")?.execute([])?;
        Ok(())
    }

    /// Where `stream` stands.
    pub(crate) fn stream(&mut self, stream: &StreamId) -> Result<Stream, Fault> {
        if let Some(known) = self.known.streams.get(stream) {
            return Ok(*known);
        }
        let mut statement = self
            .connection
            .prepare_cached(include_str!("sql/stream.sql"))?;
        let found: Option<(i64, i64)> = statement
            .query_row([stream.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((key, version)) = found else {
            return Ok(Stream {
                key: None,
                version: 0,
            });
        };
        let version = u64::try_from(version)
            .map_err(|_| Fault::corrupt(format!("stream {stream} is at version {version}")))?;
        let found = Stream {
            key: Some(key),
            version,
        };
        self.known.streams.insert(stream.clone(), found);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    fn fault(code: i32) -> Fault {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    /// Fails with `code` in the middle of a transaction; whether the connection is the same behind it.
    fn is_kept(writing: &mut Writing, code: i32) -> bool {
        let transaction = writing.begin().unwrap();
        let sql = "create temp table if not exists mark (a)";
        transaction.connection.execute_batch(sql).unwrap();
        transaction.commit().unwrap();
        let transaction = writing.begin().unwrap();
        let sql = "insert into factum_stream (key, id) values (1, 'account-1')";
        transaction.connection.execute_batch(sql).unwrap();
        writing.end_after_failure(&fault(code));
        let mut transaction = writing.begin().unwrap();
        let stream = transaction.stream(&"account-1".parse().unwrap());
        assert_eq!(stream.unwrap().key, None);
        let kept = transaction.connection.execute_batch("select a from mark");
        transaction.release().unwrap();
        kept.is_ok()
    }

    #[tokio::test]
    async fn a_connection_that_failed_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bank.db");
        SqliteStore::open(&file).await.unwrap().close().await;
        let mut writing = Writing::new(SqliteOptions::new(&file).file());
        for code in [ffi::SQLITE_IOERR, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(!is_kept(&mut writing, code), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_FULL, ffi::SQLITE_BUSY] {
            assert!(is_kept(&mut writing, code), "{code}");
        }
    }
}
