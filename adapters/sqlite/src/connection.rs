//! [`Connection`]: the connection of read models and snapshots, and its transactions.

use sqlx::SqliteConnection;

use crate::error::Fault;

/// The connection of this process through which read models and snapshots write.
pub(crate) struct Connection {
    pub(crate) sqlite: SqliteConnection,
    /// A transaction was begun and not ended, perhaps by someone whose future was dropped.
    open: bool,
}

impl Connection {
    pub(crate) fn new(sqlite: SqliteConnection) -> Self {
        Self {
            sqlite,
            open: false,
        }
    }

    /// Whether it may hold the write lock of the file, though nobody has the turn.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The connection outside of any transaction, for one statement.
    pub(crate) async fn idle(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.open {
            self.rollback().await?;
        }
        Ok(&mut self.sqlite)
    }

    /// Takes the write lock of the file.
    pub(crate) async fn begin(&mut self) -> Result<(), Fault> {
        self.idle().await?;
        self.open = true;
        let begun = sqlx::query("begin immediate").execute(&mut self.sqlite);
        if let Err(error) = begun.await {
            self.end_after_failure().await;
            return Err(error.into());
        }
        Ok(())
    }

    /// Makes the transaction durable. If that fails, whether it is durable is not known.
    pub(crate) async fn commit(&mut self) -> Result<(), Fault> {
        sqlx::query("commit").execute(&mut self.sqlite).await?;
        self.open = false;
        Ok(())
    }

    /// Ends the transaction without a change.
    pub(crate) async fn rollback(&mut self) -> Result<(), Fault> {
        let rolled_back = sqlx::query("rollback").execute(&mut self.sqlite).await;
        self.open = false;
        match rolled_back {
            Err(error) if !no_transaction(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// After this, the next transaction starts afresh, whatever state the last one was left in.
    pub(crate) async fn end_after_failure(&mut self) {
        if let Err(error) = self.rollback().await {
            tracing::warn!(?error, "a transaction could not be rolled back");
            self.open = true;
        }
    }
}

/// SQLite ends some transactions by itself when they fail.
fn no_transaction(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().contains("no transaction is active"))
}
