//! Looks up the first result of an idempotency key.
//!
//! In an append, the database function `append_all` checks whether the key was used.

use factum_core::append::{AppendError, Appended, IdempotencyKey};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::appended;
use crate::error::BackendError;

/// Returns the first result of `key`, if the key was used.
pub async fn find(
    connection: &mut PgConnection,
    key: &IdempotencyKey,
) -> Result<Result<Option<Appended>, AppendError>, BackendError> {
    let row = sqlx::query(include_str!("sql/find_key.sql"))
        .bind(key.key.as_bytes())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(Ok(None)) };
    if !key.is_for(row.try_get::<Uuid, _>("fingerprint")?) {
        return Ok(Err(AppendError::KeyReused {
            key: key.key.clone(),
        }));
    }
    let streams: Option<Vec<String>> = row.try_get("streams")?;
    let streams = streams.unwrap_or_default().into_iter();
    let streams = streams.map(|id| id.parse().map_err(BackendError::corrupt));
    let streams = streams.collect::<Result<_, BackendError>>()?;
    Ok(Ok(Some(appended::decode(&row, streams, true)?)))
}
