//! The part of the tests of inline projections that is specific to PostgreSQL.

#![allow(dead_code, reason = "no test uses all items")]

use factum::Position;
use factum_postgres::{PgConnection, sqlx};
pub use factum_postgres::{PostgresOptions as Options, PostgresStore as Store};
use factum_sql::{BoxError, Sql, SqlError};
use sqlx::Connection as _;

use crate::tally::{NEGATIVE, PANICS, REJECTED, SPECIAL};

/// An amount that ends the connection to the server.
pub const KILLS: u64 = SPECIAL;
/// An amount that may be added once: the table rejects another when the transaction ends.
pub const ONCE: u64 = SPECIAL + 1;
/// An amount after which the projection continues as if no statement had failed.
pub const IGNORES: u64 = SPECIAL + 2;
/// As `IGNORES`, and then transactions are begun, whose errors are ignored too.
pub const IGNORES_AND_BEGINS: u64 = SPECIAL + 3;
/// An amount for which a nested transaction is begun.
pub const NESTS: u64 = SPECIAL + 4;
/// An amount at which a trigger fails when the transaction ends, if a test has created it.
pub const RAISES: u64 = SPECIAL + 5;
/// An amount with a deadlock, which the projection reports in its own words.
pub const DEADLOCKS: u64 = SPECIAL + 6;
/// An amount whose statement fails; a savepoint undoes it.
pub const RECOVERS: u64 = SPECIAL + 7;

/// The amounts that the projection rejects, and the reasons. `ONCE` was added before.
pub const REJECTIONS: &[(u64, &str)] = &[
    (REJECTED, "it is rejected"),
    (PANICS, "it panics"),
    (NEGATIVE, "violates check constraint"),
    (IGNORES, "ignored an error of the database"),
];
/// One of them.
pub const THIRD: u64 = IGNORES;

#[derive(Debug, thiserror::Error)]
#[error("the amount is not stored")]
struct NotStored(#[source] SqlError);

/// Returns the options of an empty schema; `None` if there is no server.
pub fn fresh() -> Option<((), Options)> {
    crate::server::fresh().map(|options| ((), options))
}

pub async fn special(amount: u64, position: Position, db: &mut Sql<'_>) -> Result<(), BoxError> {
    match amount {
        KILLS => {
            let kill = db.query("select pg_terminate_backend(pg_backend_pid())");
            kill.execute().await?;
        }
        ONCE => {
            let once = db.query("update {added} set once = 1 where position = $1");
            once.bind(position).execute().await?;
        }
        IGNORES => {
            let failed = db.query("select 1 / 0").execute().await;
            assert!(failed.is_err());
        }
        IGNORES_AND_BEGINS => {
            let db: &mut PgConnection = db.driver().unwrap();
            let failed = sqlx::query("select 1 / 0").execute(&mut *db).await;
            assert!(failed.is_err());
            for _ in 0..3 {
                if let Ok(begun) = db.begin().await {
                    begun.commit().await?;
                }
            }
        }
        DEADLOCKS => {
            let raise = "do $$ begin raise exception using errcode = '40P01'; end $$";
            db.execute(raise).await.map_err(NotStored)?;
        }
        NESTS => {
            let db: &mut PgConnection = db.driver().unwrap();
            db.begin().await?.commit().await?;
        }
        RECOVERS => {
            db.execute("savepoint own").await?;
            let failed = db.query("select 1 / 0").execute().await;
            assert!(failed.is_err());
            db.execute("rollback to savepoint own").await?;
        }
        _ => {}
    }
    Ok(())
}

/// Returns the names of the projection's tables.
pub async fn tables(store: &Store) -> Vec<String> {
    let sql = "select tablename from pg_tables
               where schemaname = current_schema() and tablename like 'added%'";
    store.query(sql).fetch_all().await.unwrap()
}

/// Checks that few transactions have stored the events after `position`.
pub async fn check_transactions(store: &Store, position: i64) {
    let sql = "select count(distinct xmin::text) from event where position > $1";
    let transactions: i64 = store.query(sql).bind(position).fetch_one().await.unwrap();
    assert!(
        transactions <= 8,
        "{transactions} transactions after {position}"
    );
}
