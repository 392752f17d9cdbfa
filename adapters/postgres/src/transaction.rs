//! Transactions on the connection that writes, in as few round trips as there can be.
//!
//! sqlx asks to begin, asks for the first thing to be done, and takes for a commit whatever the server answers to one. Here
//! the first question goes with the beginning, and a commit that is none is an error. So sqlx is not told where
//! transactions begin and end: once and for all it is left in the belief that there is one, so that whoever is lent the
//! connection inside, and begins one, gets a savepoint.

use factum::Position;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};

use crate::error::Fault;

/// Whoever has waited for a lock must see what was done under it. Whoever falls silent inside the transaction must not keep
/// its locks, and others from taking over.
macro_rules! begin {
    () => {
        "begin isolation level read committed; set local idle_in_transaction_session_timeout = '5s'"
    };
}

/// How every transaction begins in which others' code runs.
pub(crate) const BEGIN: &str = begin!();

/// Begins.
pub(crate) async fn begin(db: &mut PgConnection) -> Result<(), Fault> {
    ask(db, BEGIN).await.map(drop)
}

/// Begins, and takes the lock that puts appends in order; the head.
pub(crate) async fn begin_to_append(db: &mut PgConnection) -> Result<Position, Fault> {
    let sql = concat!(begin!(), "; select position from head for update");
    let row = ask(db, sql).await?;
    let row = row.ok_or_else(|| Fault::corrupt("no head"))?;
    Ok(Position::new(row.try_get::<i64, _>(0)? as u64))
}

/// Behind an error that was ignored a commit is a rollback, and no error: any other statement is one.
pub(crate) async fn commit(db: &mut PgConnection) -> Result<(), Fault> {
    let committed = sqlx::raw_sql("select 1; commit").execute(&mut *db).await;
    let fault = match committed {
        Ok(_) => return Ok(()),
        Err(error) => Fault::from(error),
    };
    if fault.is_ignored() {
        roll_back(db).await?;
    }
    Err(fault)
}

pub(crate) async fn roll_back(db: &mut PgConnection) -> Result<(), Fault> {
    sqlx::raw_sql("rollback").execute(db).await?;
    Ok(())
}

async fn ask(db: &mut PgConnection, sql: &'static str) -> Result<Option<PgRow>, Fault> {
    if !db.is_in_transaction() {
        std::mem::forget(db.begin().await?);
        roll_back(db).await?;
    }
    match sqlx::raw_sql(sql).fetch_optional(&mut *db).await {
        Ok(row) => Ok(row),
        Err(error) => {
            // It may have begun.
            roll_back(db).await?;
            Err(error.into())
        }
    }
}
