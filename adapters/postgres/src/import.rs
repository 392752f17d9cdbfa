//! Imports: appends with the times at which another store recorded their events.

use factum_core::append::Append;
use factum_core::timestamp::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgPool;

use crate::error::BackendError;
use crate::transaction::BEGIN;
use crate::write_request::AppendResult;
use crate::{database_append, event_id};

/// Stores `append` in a transaction of its own, then sets the times of its events.
///
/// For the writer of this process, it is an append of another process. Inline projections are not updated: their
/// consumers process the events.
pub async fn import(
    pool: &PgPool,
    append: &Append,
    recorded_at: Timestamp,
) -> Result<AppendResult, BackendError> {
    let mut transaction = pool.begin_with(BEGIN).await?;
    let sql = "select position, recorded_at from head for update";
    let head = sqlx::query(sql).fetch_one(&mut *transaction).await?;
    let (position, earliest): (i64, i64) = (head.try_get(0)?, head.try_get(1)?);
    let stored = database_append::store(&mut transaction, &[append]).await;
    let outcome = match stored {
        Err(error) if error.reused_event_id().is_some() => {
            transaction.rollback().await?;
            let mut connection = pool.acquire().await?;
            return Ok(Err(event_id::append_error(&mut connection, error).await));
        }
        stored => stored?,
    };
    let result = outcome.results.into_iter().next();
    let mut result = result.ok_or_else(|| BackendError::corrupt("no result of an append"))?;
    if let Ok(appended) = &mut result
        && !appended.repeated
    {
        let micros = recorded_at
            .min(appended.recorded_at)
            .as_micros()
            .max(earliest);
        for sql in [
            "update event set recorded_at = $2 where position > $1",
            "update head set recorded_at = $2 where position >= $1",
            "update idempotency set recorded_at = $2 where position > $1",
        ] {
            let update = sqlx::query(sql).bind(position).bind(micros);
            update.execute(&mut *transaction).await?;
        }
        appended.recorded_at = Timestamp::from_micros(micros);
    }
    transaction.commit().await?;
    Ok(result)
}
