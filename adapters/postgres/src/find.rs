//! The answers that were given to idempotency keys.

use factum::{AppendError, Appended, IdempotencyKey};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::answer::appended;
use crate::error::Fault;

/// The first answer under `key`, if it was used.
pub(crate) async fn find(
    connection: &mut PgConnection,
    key: &IdempotencyKey,
) -> Result<Result<Option<Appended>, AppendError>, Fault> {
    let row = sqlx::query(include_str!("sql/find.sql"))
        .bind(key.key.as_bytes())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(Ok(None)) };
    if row.try_get::<Uuid, _>("fingerprint")? != key.fingerprint {
        return Ok(Err(AppendError::KeyReused {
            key: key.key.clone(),
        }));
    }
    let streams: Option<Vec<String>> = row.try_get("streams")?;
    let streams = streams.unwrap_or_default().into_iter();
    let streams = streams.map(|id| id.parse().map_err(Fault::corrupt));
    let streams = streams.collect::<Result<_, Fault>>()?;
    Ok(Ok(Some(appended(&row, streams, true)?)))
}
