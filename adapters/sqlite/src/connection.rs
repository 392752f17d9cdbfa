//! [`Connection`]: the one connection that writes, and its transactions.

use factum::{Position, StreamId, Timestamp};
use sqlx::{Row as _, SqliteConnection};

use crate::error::Fault;
use crate::known::{Known, Stream};
use crate::new_rows::NewRows;

/// The one connection of this process that writes. Whoever holds it has the turn to write.
pub(crate) struct Connection {
    pub(crate) sqlite: SqliteConnection,
    pub(crate) known: Known,
    /// A transaction was begun and not ended, perhaps by someone whose future was dropped.
    open: bool,
}

impl Connection {
    pub(crate) fn new(sqlite: SqliteConnection) -> Self {
        Self {
            sqlite,
            known: Known::nothing(),
            open: false,
        }
    }

    /// The connection outside of any transaction, for one statement.
    pub(crate) async fn idle(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.open {
            self.rollback().await?;
        }
        Ok(&mut self.sqlite)
    }

    /// Takes the write lock of the file, and learns what others have written.
    pub(crate) async fn begin(&mut self) -> Result<(), Fault> {
        self.idle().await?;
        self.open = true;
        let begun = sqlx::query("begin immediate; pragma data_version")
            .fetch_one(&mut self.sqlite)
            .await;
        let row = match begun {
            Ok(row) => row,
            Err(error) => {
                self.end_after_failure().await;
                return Err(error.into());
            }
        };
        let data_version: i64 = row.try_get(0)?;
        if self.known.data_version != Some(data_version) {
            self.known.forget();
            let row = sqlx::query(include_str!("sql/head.sql"))
                .fetch_one(&mut self.sqlite)
                .await?;
            self.known.head = Position::new(row.try_get::<i64, _>(0)? as u64);
            self.known.recorded_at = Timestamp::from_micros(row.try_get(1)?);
            self.known.last_key = row.try_get(2)?;
            self.known.data_version = Some(data_version);
        }
        Ok(())
    }

    /// A transaction of these rows, in one call of the driver.
    pub(crate) async fn insert_at_once(&mut self, rows: NewRows) -> Result<(), Fault> {
        self.idle().await?;
        self.open = true;
        rows.insert_at_once(self).await?;
        self.open = false;
        Ok(())
    }

    /// Makes the transaction durable. If that fails, whether it is durable is not known.
    pub(crate) async fn commit(&mut self) -> Result<(), Fault> {
        sqlx::query("commit").execute(&mut self.sqlite).await?;
        self.open = false;
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), Fault> {
        self.known.forget();
        let rolled_back = sqlx::query("rollback").execute(&mut self.sqlite).await;
        self.open = false;
        match rolled_back {
            Err(error) if !no_transaction(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Ends a transaction without a change, without forgetting what is known.
    pub(crate) async fn release(&mut self) -> Result<(), Fault> {
        sqlx::query("rollback").execute(&mut self.sqlite).await?;
        self.open = false;
        Ok(())
    }

    /// After this, the next transaction starts afresh, whatever state the last one was left in.
    pub(crate) async fn end_after_failure(&mut self) {
        if let Err(error) = self.rollback().await {
            tracing::warn!(?error, "a transaction could not be rolled back");
            self.open = true;
        }
    }

    /// Reads where `streams` stand, as far as that is not known.
    pub(crate) async fn learn(&mut self, streams: &[&StreamId]) -> Result<Vec<Stream>, Fault> {
        let unknown: Vec<&str> = streams
            .iter()
            .filter(|stream| self.known.streams.peek(**stream).is_none())
            .map(|stream| stream.as_str())
            .collect();
        let mut found = std::collections::HashMap::new();
        if !unknown.is_empty() {
            let json = serde_json::to_string(&unknown).map_err(Fault::corrupt)?;
            let rows = sqlx::query(include_str!("sql/streams.sql"))
                .bind(json)
                .fetch_all(&mut self.sqlite)
                .await?;
            for row in rows {
                let id: String = row.try_get(0)?;
                let version: i64 = row.try_get(2)?;
                let version = u64::try_from(version)
                    .map_err(|_| Fault::corrupt(format!("stream {id} is at version {version}")))?;
                let key = Some(row.try_get(1)?);
                found.insert(id, Stream { key, version });
            }
        }
        let absent = Stream {
            key: None,
            version: 0,
        };
        let stands = streams.iter().map(|stream| {
            let cached = self.known.streams.get(*stream).copied();
            cached.unwrap_or_else(|| found.get(stream.as_str()).copied().unwrap_or(absent))
        });
        Ok(stands.collect())
    }
}

/// SQLite ends some transactions by itself when they fail.
fn no_transaction(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().contains("no transaction is active"))
}
