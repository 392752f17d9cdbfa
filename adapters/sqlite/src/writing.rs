//! [`Writing`]: the connection that writes, and its transactions.

use factum::{Position, Timestamp};
use rusqlite::Connection;
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::error::Fault;
use crate::file::File;
use crate::known::{End, Known};
use crate::pair::{Pair, wait};

/// The one connection of this process that writes.
pub(crate) struct Writing {
    file: File,
    /// `None`: it failed, and is opened again when it is needed.
    opened: Option<Opened>,
}

struct Opened {
    pair: Pair,
    known: Known,
}

impl Opened {
    async fn new(connection: SqliteConnection) -> Result<Self, Fault> {
        Ok(Self {
            pair: Pair::new(connection).await?,
            known: Known::nothing(),
        })
    }
}

impl Writing {
    pub(crate) async fn new(file: File, connection: SqliteConnection) -> Result<Self, Fault> {
        let opened = Some(Opened::new(connection).await?);
        Ok(Self { file, opened })
    }

    /// Takes the write lock of the file, and learns what others have written. Blocks.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let Opened { pair, known } = wait(self.idle())?;
        let connection = wait(pair.rusqlite())?;
        connection.prepare_cached("begin immediate")?.execute([])?;
        let data_version: i64 = connection
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        if known.data_version != Some(data_version) {
            known.others_wrote(data_version, end(connection)?);
        }
        let changed = connection.total_changes();
        Ok(Transaction {
            pair,
            known,
            changed,
        })
    }

    /// The connection outside of any transaction.
    pub(crate) async fn pair(&mut self) -> Result<&mut Pair, Fault> {
        Ok(&mut self.idle().await?.pair)
    }

    /// The connection inside a transaction that has the write lock of the file, for those who await.
    pub(crate) async fn begin_awaited(&mut self) -> Result<&mut Pair, Fault> {
        let pair = self.pair().await?;
        let begin = sqlx::query("begin immediate").execute(pair.sqlx()?);
        begin.await?;
        Ok(pair)
    }

    async fn idle(&mut self) -> Result<&mut Opened, Fault> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            none => {
                let connection = self.file.writing().connect().await?;
                none.insert(Opened::new(connection).await?)
            }
        };
        end_transaction(&mut opened.pair).await?;
        Ok(opened)
    }

    /// After this, the next transaction starts afresh, whatever state one of [`begin`](Self::begin) was left in.
    pub(crate) async fn end_after_failure(&mut self, fault: &Fault) {
        if let Some(Opened { known, .. }) = &mut self.opened {
            known.forget();
        }
        match fault.is_of_the_connection() {
            true => self.reopen(),
            false => self.roll_back().await,
        }
    }

    pub(crate) async fn roll_back(&mut self) {
        let Some(Opened { pair, .. }) = &mut self.opened else {
            return;
        };
        if let Err(error) = end_transaction(pair).await {
            tracing::warn!(%error, "a transaction could not be rolled back");
            self.reopen();
        }
    }

    /// The connection is in doubt: the next transaction has another.
    pub(crate) fn reopen(&mut self) {
        self.opened = None;
    }

    pub(crate) async fn close(self) -> Result<(), Fault> {
        match self.opened {
            Some(opened) => opened.pair.close().await,
            None => Ok(()),
        }
    }
}

/// There may be one that someone has begun whose future was dropped, and SQLite ends some by itself when they fail.
async fn end_transaction(pair: &mut Pair) -> Result<(), Fault> {
    let connection = pair.rusqlite().await?;
    if !connection.is_autocommit() {
        connection.execute_batch("rollback")?;
    }
    Ok(())
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

/// Whoever holds it has the write lock of the file. It is ended by [`end`](Self::end), or by
/// [`Writing::end_after_failure`].
pub(crate) struct Transaction<'w> {
    pub(crate) pair: &'w mut Pair,
    pub(crate) known: &'w mut Known,
    /// How many rows the connection had changed.
    changed: u64,
}

impl Transaction<'_> {
    pub(crate) fn connection(&mut self) -> Result<&Connection, Fault> {
        wait(self.pair.rusqlite())
    }

    /// Makes it durable, if anything was changed. If that fails, whether it is durable is not known.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        let changed = self.changed;
        let connection = self.connection()?;
        let end = match connection.total_changes() == changed {
            true => "rollback",
            false => "commit",
        };
        connection.prepare_cached(end)?.execute([])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use factum::document::{Changes, DocumentStore as _};
    use factum::{
        Append, ContentType, Engine, EventStore as _, ExpectedVersion, NewEvent, Projections,
        Recorded, SnapshotStore as _,
    };
    use rusqlite::ffi;

    use super::*;
    use crate::{BoxError, SqliteProject, SqliteProjection, SqliteStore, Tables};

    fn closed(file: &std::path::Path) -> Writing {
        Writing {
            file: File::new(file),
            opened: None,
        }
    }

    fn fault(code: i32) -> Fault {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    /// In a transaction that is not ended.
    fn execute(writing: &mut Writing, sql: &str) -> Result<(), Fault> {
        let mut transaction = writing.begin()?;
        Ok(transaction.connection()?.execute_batch(sql)?)
    }

    /// Fails with `fault` in the middle of a transaction; whether the connection is the same behind it.
    fn is_kept(writing: &mut Writing, fault: &Fault) -> bool {
        execute(writing, "create temp table if not exists mark (a); commit").unwrap();
        let sql = "insert into factum_stream (key, id) values (1, 'account-1')";
        execute(writing, sql).unwrap();
        wait(writing.end_after_failure(fault));
        let transaction = writing.begin().unwrap();
        let connection = wait(transaction.pair.rusqlite()).unwrap();
        let account = "account-1".parse().unwrap();
        let stream = transaction.known.stream(connection, &account);
        assert_eq!(stream.unwrap().key, None);
        transaction.end().unwrap();
        execute(writing, "select a from mark").is_ok()
    }

    #[tokio::test]
    async fn a_connection_that_failed_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bank.db");
        SqliteStore::open(&file).await.unwrap().close().await;
        let mut writing = closed(&file);
        for code in [ffi::SQLITE_IOERR, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(!is_kept(&mut writing, &fault(code)), "{code}");
        }
        for code in [ffi::SQLITE_CONSTRAINT, ffi::SQLITE_FULL, ffi::SQLITE_BUSY] {
            assert!(is_kept(&mut writing, &fault(code)), "{code}");
        }
        assert!(!is_kept(&mut writing, &sqlx::Error::WorkerCrashed.into()));
        assert!(is_kept(&mut writing, &sqlx::Error::RowNotFound.into()));
    }

    #[derive(factum::Event, serde::Serialize, serde::Deserialize)]
    #[event(prefix = "account")]
    enum AccountEvent {
        Opened {},
    }

    #[derive(factum::Projection)]
    #[projection(name = "opened", events = AccountEvent)]
    struct Accounts;

    #[factum::async_trait]
    impl SqliteProjection for Accounts {
        async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
            let sql = db.sql("create table if not exists {account} (id text primary key)");
            sqlx::query(sql).execute(&mut **db).await?;
            Ok(())
        }
    }

    #[factum::async_trait]
    impl SqliteProject<AccountEvent> for Accounts {
        async fn project(
            &self,
            event: &Recorded<AccountEvent>,
            db: &mut Tables<'_>,
        ) -> Result<(), BoxError> {
            let sql = db.sql("insert into {account} (id) values (?)");
            let account = event.record.stream.key();
            sqlx::query(sql).bind(account).execute(&mut **db).await?;
            Ok(())
        }
    }

    fn opened(account: &str) -> Append {
        let event = NewEvent {
            id: uuid::Uuid::now_v7(),
            name: "account.opened".into(),
            schema_version: 1,
            content_type: ContentType::Json,
            data: "{}".into(),
            tags: Vec::new(),
            metadata: Default::default(),
            personal: Vec::new(),
        };
        Append::stream(account.parse().unwrap(), ExpectedVersion::Any, vec![event])
    }

    /// The version of the file that the writer of `store` knows, once it has appended.
    async fn known(store: &SqliteStore, account: &str) -> i64 {
        store.append(opened(account)).await.unwrap();
        let turn = store.turn().take().await;
        let opened = turn.as_ref().unwrap().opened.as_ref().unwrap();
        assert!(!opened.known.streams.is_empty());
        opened.known.data_version.unwrap()
    }

    #[tokio::test]
    async fn a_live_projection_and_documents_do_not_make_the_writer_forget() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bank.db");
        let store = SqliteStore::open(&file).await.unwrap();
        let first = known(&store, "account-1").await;
        let engine = Engine::new(store.clone());
        let accounts = store.read_model(Accounts);
        let projections = Projections::builder(&engine).with(accounts).start();
        projections.wait_for(Position::new(1)).await.unwrap();
        projections.stop().await;
        let more = Changes::new().put("checkpoint", "2");
        store.change_documents(more).await.unwrap();
        store.clear_snapshots().await.unwrap();
        let sql = "select count(*) from account";
        let rows: i64 = sqlx::query_scalar(sql)
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert_eq!(rows, 1);
        assert_eq!(known(&store, "account-1").await, first);
        let other = SqliteStore::open(&file).await.unwrap();
        other.append(opened("account-1")).await.unwrap();
        assert_ne!(known(&store, "account-1").await, first);
    }
}
