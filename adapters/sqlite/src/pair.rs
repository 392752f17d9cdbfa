//! [`Pair`]: two drivers on one connection.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use rusqlite::Connection;
use sqlx::sqlite::LockedSqliteHandle;
use sqlx::{Connection as _, SqliteConnection};

use crate::database_file::STATEMENT_CACHE_CAPACITY;
use crate::error::BackendError;

/// A connection that `sqlx` owns, and `rusqlite` on its handle: what both do is in one transaction.
///
/// `sqlx` works on a thread of its own, for a future that was dropped as well. So `rusqlite` is given out once that
/// thread has done all that it was asked.
pub(crate) struct Pair {
    /// `None`: closed, or lost.
    drivers: Option<Drivers>,
    /// Which handle `rusqlite` stands on.
    address: usize,
    sqlx_is: Driver,
}

/// What is known of `sqlx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    /// Its thread waits for commands.
    Resting,
    /// It was asked something, and may still be at work.
    AtWork,
    /// The same, and who had it could put another connection into its place.
    Lent,
}

/// Dropped in this order: `sqlx` closes the handle, and statements of `rusqlite` must not outlive it.
struct Drivers {
    rusqlite: Connection,
    sqlx: SqliteConnection,
}

impl Pair {
    pub(crate) async fn new(mut sqlx: SqliteConnection) -> Result<Self, BackendError> {
        sqlx.ping().await?;
        let mut handle = sqlx.lock_handle().await?;
        let address = address(&mut handle);
        let rusqlite = second_driver(handle)?;
        rusqlite.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
        Ok(Self {
            drivers: Some(Drivers { rusqlite, sqlx }),
            address,
            sqlx_is: Driver::Resting,
        })
    }

    /// `rusqlite`, once `sqlx` rests: at once, if it was not used since the last time. Blocks as SQLite does.
    pub(crate) async fn rusqlite(&mut self) -> Result<&Connection, BackendError> {
        let drivers = self.drivers.as_mut().ok_or(BackendError::Closed)?;
        if self.sqlx_is != Driver::Resting {
            drivers.sqlx.ping().await?;
        }
        if self.sqlx_is == Driver::Lent {
            let now = address(&mut drivers.sqlx.lock_handle().await?);
            if now != self.address {
                let exchanged = self.drivers.take();
                std::mem::forget(exchanged.map(|drivers| drivers.rusqlite));
                let what = "the connection of a projection was exchanged for another";
                return Err(sqlx::Error::Protocol(what.to_owned()).into());
            }
        }
        self.sqlx_is = Driver::Resting;
        let drivers = self.drivers.as_ref().ok_or(BackendError::Closed)?;
        Ok(&drivers.rusqlite)
    }

    /// `sqlx`, for code of this crate.
    pub(crate) fn sqlx(&mut self) -> Result<&mut SqliteConnection, BackendError> {
        let drivers = self.drivers.as_mut().ok_or(BackendError::Closed)?;
        if self.sqlx_is == Driver::Resting {
            self.sqlx_is = Driver::AtWork;
        }
        Ok(&mut drivers.sqlx)
    }

    /// `sqlx`, for code of others.
    pub(crate) fn lend(&mut self) -> Result<&mut SqliteConnection, BackendError> {
        let drivers = self.drivers.as_mut().ok_or(BackendError::Closed)?;
        self.sqlx_is = Driver::Lent;
        Ok(&mut drivers.sqlx)
    }

    /// Makes a transaction durable, for those who await. If that fails, whether it is durable is not known.
    pub(crate) async fn commit(&mut self) -> Result<(), BackendError> {
        sqlx::query("commit").execute(self.sqlx()?).await?;
        Ok(())
    }

    pub(crate) async fn close(mut self) -> Result<(), BackendError> {
        self.rusqlite().await?;
        if let Some(Drivers { rusqlite, sqlx }) = self.drivers.take() {
            drop(rusqlite);
            sqlx.close().await?;
        }
        Ok(())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // If the thread of `sqlx` has ended, it rests as well.
        let _ = wait(self.rusqlite());
    }
}

fn address(handle: &mut LockedSqliteHandle<'_>) -> usize {
    handle.as_raw_handle().addr().get()
}

#[expect(
    unsafe_code,
    reason = "neither driver makes a connection out of the other's"
)]
fn second_driver(mut handle: LockedSqliteHandle<'_>) -> Result<Connection, BackendError> {
    let handle = handle.as_raw_handle();
    // SAFETY: both drivers link the same SQLite, so this is the handle of an open connection. What comes back does not
    // close it, and goes into a `Pair`, which keeps it as follows.
    //
    // The handle is open as long as `rusqlite` can reach it. `Drivers::sqlx` owns it, and is dropped behind `rusqlite`.
    // Whoever was lent `sqlx` can have put another connection there: `Pair::rusqlite` notices by the address, and
    // forgets `rusqlite` without touching it. If the address is the same, either it is the same connection, or one that
    // was opened after the old one was closed; SQLite closes none that has statements, so `rusqlite` held none of it,
    // and stands on a handle that `Drivers::sqlx` owns as before.
    //
    // No two threads use it at once. The thread of `sqlx` touches it for the commands that it is given, all of which
    // come through `&mut SqliteConnection`, which only a `Pair` gives out, and notes. From then on `rusqlite` is neither
    // used nor dropped before a ping was answered: commands are done in order, so all that were given are done then,
    // also those whose future was dropped. (`lock_handle` alone is not enough: it can be granted while that thread has
    // not come back yet from the last time, ahead of what it was asked since.) An error instead of the answer means
    // that the thread has ended.
    let connection = unsafe { Connection::from_handle(handle.as_ptr()) };
    Ok(connection?)
}

/// Blocks until `future` is ready, which must not need this thread for anything else.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(ready) = future.as_mut().poll(&mut context) {
            return ready;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    async fn connect() -> SqliteConnection {
        let options = SqliteConnectOptions::new().in_memory(true);
        options.connect().await.unwrap()
    }

    async fn pair() -> Pair {
        let mut pair = Pair::new(connect().await).await.unwrap();
        let sql = "create table counted (number integer)";
        pair.rusqlite().await.unwrap().execute_batch(sql).unwrap();
        pair
    }

    async fn count(pair: &mut Pair) -> i64 {
        let connection = pair.rusqlite().await.unwrap();
        let sql = "select count(*) from counted";
        let mut statement = connection.prepare_cached(sql).unwrap();
        statement.query_row([], |row| row.get(0)).unwrap()
    }

    const MANY: &str = "with recursive n (n) as (select 1 union all select n + 1 from n where n < 200000) \
         insert into counted (number) select n from n";

    #[tokio::test]
    async fn what_both_do_is_in_one_transaction() {
        let mut pair = pair().await;
        let db = pair.sqlx().unwrap();
        sqlx::query("begin").execute(&mut *db).await.unwrap();
        let sql = "insert into counted (number) values (1)";
        sqlx::query(sql).execute(db).await.unwrap();
        assert_eq!(count(&mut pair).await, 1);
        let connection = pair.rusqlite().await.unwrap();
        assert!(!connection.is_autocommit());
        connection.execute_batch("rollback").unwrap();
        assert_eq!(count(&mut pair).await, 0);
        pair.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_asked_of_a_dropped_future_is_done_before_the_other_driver_begins() {
        let mut pair = pair().await;
        for round in 1..=5 {
            let asked = sqlx::query(MANY).execute(pair.lend().unwrap());
            // Polled once, so that it is asked.
            tokio::select! {
                biased;
                _ = asked => panic!("too fast"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(count(&mut pair).await, round * 200_000);
        }
        // In order also then: statements of the one driver are prepared, and the other is at work.
        let asked = sqlx::query(MANY).execute(pair.lend().unwrap());
        tokio::select! {
            biased;
            _ = asked => panic!("too fast"),
            () = std::future::ready(()) => {}
        }
        drop(pair);
    }

    #[tokio::test]
    async fn a_connection_that_was_exchanged_is_not_touched_again() {
        let mut pair = pair().await;
        count(&mut pair).await;
        let mut other = connect().await;
        std::mem::swap(pair.lend().unwrap(), &mut other);
        let fault = pair.rusqlite().await.unwrap_err();
        assert!(fault.breaks_connection(), "{fault}");
        assert!(matches!(pair.sqlx(), Err(BackendError::Closed)));
        // Whoever has it now can use it; it is not closed, or SQLite would find a statement that is not ended.
        let sql = "select count(*) from counted";
        let counted: i64 = sqlx::query_scalar(sql).fetch_one(&mut other).await.unwrap();
        assert_eq!(counted, 0);
        std::mem::forget(other);
    }
}
