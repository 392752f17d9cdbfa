//! Transactions on the connection that writes, in as few round trips as there can be.
//!
//! sqlx asks to begin, asks for the first thing to be done, and takes for a commit whatever the server answers to one. Here
//! the first question goes with the beginning, and a commit that is none is an error. So sqlx is not told where
//! transactions begin and end: it is left in the belief that there are several, one in the other, so that whoever is lent the
//! connection inside, and begins one, gets a savepoint.
//!
//! Several, for where beginning fails, behind an error, sqlx rolls back the one that it believes to be around. Were there
//! no other around that, what follows would be outside of any transaction, and stay. The server knows none of them: it
//! rejects, and the transaction remains a failed one.

use factum::Position;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};

use crate::error::{Fault, follows_an_error};

/// In how many transactions more sqlx believes whenever it has stopped to believe in one.
const BELIEVED: usize = 16;
/// Of how many answers to what failed before at most nobody has heard yet.
const UNHEARD: usize = 4 * BELIEVED;

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

/// Behind an error that was ignored a commit is a rollback, and no error, and neither is it one where there is no
/// transaction: a savepoint is rejected in both cases.
pub(crate) async fn commit(db: &mut PgConnection) -> Result<(), Fault> {
    let sql = "savepoint done; commit";
    let committed = sqlx::raw_sql(sql).execute(&mut *db).await;
    let fault = match committed {
        Ok(_) => return Ok(()),
        Err(error) => Fault::from(error),
    };
    if fault.is_ignored() {
        roll_back_ignored(db).await?;
    }
    Err(fault)
}

pub(crate) async fn roll_back(db: &mut PgConnection) -> Result<(), Fault> {
    Ok(undo(db, "rollback").await?)
}

/// The same behind an error that was ignored: perhaps, something was to be begun behind it.
pub(crate) async fn roll_back_ignored(db: &mut PgConnection) -> Result<(), Fault> {
    roll_back(db).await?;
    believe(db).await
}

/// Undoes by `sql`, whatever is still to be heard of what failed before.
pub(crate) async fn undo(db: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut unheard = UNHEARD;
    loop {
        match sqlx::raw_sql(sql).execute(&mut *db).await {
            Err(sqlx::Error::Database(error)) if unheard > 0 && follows_an_error(&*error) => {
                unheard -= 1;
            }
            done => return done.map(drop),
        }
    }
}

async fn ask(db: &mut PgConnection, sql: &'static str) -> Result<Option<PgRow>, Fault> {
    if !db.is_in_transaction() {
        believe(db).await?;
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

async fn believe(db: &mut PgConnection) -> Result<(), Fault> {
    if db.is_in_transaction() {
        sqlx::raw_sql("begin").execute(&mut *db).await?;
    }
    for _ in 0..BELIEVED {
        std::mem::forget(db.begin().await?);
    }
    roll_back(db).await
}
