//! Transactions of the writer's connection, with as few round trips as possible.
//!
//! sqlx sends `begin` in a round trip of its own, and considers every successful reply to `commit` a commit. Here the
//! first query is sent together with `begin`, and a commit that the server turned into a rollback is an error.
//! Therefore sqlx does not know where these transactions begin and end. Its counter of nested transactions is raised
//! instead, so that code that gets the connection inside of the transaction, and begins another one, gets a savepoint.
//!
//! The counter is raised by several levels, because sqlx lowers it again when a nested `begin` fails: sqlx then rolls
//! back to a savepoint that it assumes. At zero, later statements would run outside of any transaction, and would be
//! committed. The server does not know the assumed savepoint. It rejects the rollback, so the transaction stays failed.

use factum_core::position::Position;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::error::{BackendError, follows_failed_statement};

/// The number of levels by which the transaction counter of sqlx is raised once it has reached zero.
const EXTRA_DEPTH: usize = 16;
/// The maximum number of errors of earlier rollbacks that sqlx has not read yet.
const MAX_UNREAD_ERRORS: usize = 4 * EXTRA_DEPTH;

/// The statements that begin a transaction.
///
/// A statement that has waited for a lock must see the commits made under it. A client that hangs inside of the
/// transaction must not keep its locks; code of users that waits for too long is interrupted earlier.
macro_rules! begin {
    () => {
        "begin isolation level read committed; set local idle_in_transaction_session_timeout = '8s'"
    };
}

/// The statements that begin every transaction in which code of users runs.
pub const BEGIN: &str = begin!();

/// Begins a transaction, locks the head, and returns it.
pub async fn begin_append(db: &mut PgConnection) -> Result<Position, BackendError> {
    let sql = concat!(begin!(), "; select position from head for update");
    let row = fetch_first(db, sql).await?;
    let row = row.ok_or_else(|| BackendError::corrupt("no head"))?;
    Ok(Position::new(row.try_get::<i64, _>(0)? as u64))
}

/// Commits, and fails if an earlier error was ignored.
///
/// The server reports success for `commit` in a failed transaction and outside of any transaction. It rejects a
/// savepoint in both cases.
pub async fn commit(db: &mut PgConnection) -> Result<(), BackendError> {
    let sql = "savepoint done; commit";
    let committed = sqlx::raw_sql(sql).execute(&mut *db).await;
    let error = match committed {
        Ok(_) => return Ok(()),
        Err(error) => BackendError::from(error),
    };
    if error.follows_ignored_error() {
        roll_back_after_ignored_error(db).await?;
    }
    Err(error)
}

pub async fn roll_back(db: &mut PgConnection) -> Result<(), BackendError> {
    Ok(execute_rollback(db, "rollback").await?)
}

/// Rolls back after an ignored error, and raises the transaction counter again.
///
/// A `begin` that failed after the error may have lowered it.
pub async fn roll_back_after_ignored_error(db: &mut PgConnection) -> Result<(), BackendError> {
    roll_back(db).await?;
    raise_depth(db).await
}

/// Executes the rollback statement `sql`, and skips unread errors of earlier statements.
pub async fn execute_rollback(db: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    let mut unread = MAX_UNREAD_ERRORS;
    loop {
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await {
            Err(sqlx::Error::Database(error))
                if unread > 0 && follows_failed_statement(&*error) =>
            {
                unread -= 1;
            }
            done => return done.map(drop),
        }
    }
}

async fn fetch_first(
    db: &mut PgConnection,
    sql: &'static str,
) -> Result<Option<PgRow>, BackendError> {
    if !db.is_in_transaction() {
        raise_depth(db).await?;
    }
    match sqlx::raw_sql(sql).fetch_optional(&mut *db).await {
        Ok(row) => Ok(row),
        Err(error) => {
            // The transaction may have begun.
            roll_back(db).await?;
            Err(error.into())
        }
    }
}

/// Raises the transaction counter of sqlx; no transaction is open on the server afterwards.
async fn raise_depth(db: &mut PgConnection) -> Result<(), BackendError> {
    if db.is_in_transaction() {
        sqlx::raw_sql("begin").execute(&mut *db).await?;
    }
    for _ in 0..EXTRA_DEPTH {
        std::mem::forget(db.begin().await?);
    }
    roll_back(db).await
}
