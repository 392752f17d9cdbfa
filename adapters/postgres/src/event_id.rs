//! Looks up events by their ids.

use factum_core::append::{Append, AppendError};
use factum_core::position::Position;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::error::BackendError;
use crate::idempotency_key;

/// Returns the error of an append that was rejected with `error`.
///
/// If the reason is an event id that is stored already, the error names its position.
pub async fn append_error(connection: &mut PgConnection, error: BackendError) -> AppendError {
    let Some(id) = error.reused_event_id() else {
        return error.into();
    };
    match find(connection, id).await {
        Ok(Some(position)) => AppendError::EventIdReused { id, position },
        Ok(None) => error.into(),
        Err(error) => error.into(),
    }
}

/// Returns an event that `append` requires and that is not stored.
///
/// Events are never removed, so this need not happen in the transaction of the append.
pub async fn find_missing(
    connection: &mut PgConnection,
    append: &Append,
) -> Result<Option<Uuid>, BackendError> {
    for id in &append.requires {
        if find(connection, *id).await?.is_some() {
            continue;
        }
        // The first result of the same idempotency key has precedence.
        let is_known = match &append.key {
            Some(key) => !matches!(idempotency_key::find(connection, key).await?, Ok(None)),
            None => false,
        };
        return Ok((!is_known).then_some(*id));
    }
    Ok(None)
}

async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<Position>, BackendError> {
    let sql = "select position from event where id = $1";
    let position: Option<i64> = sqlx::query_scalar(sql)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(position.map(|position| Position::new(position as u64)))
}
