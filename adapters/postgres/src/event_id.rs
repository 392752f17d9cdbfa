//! Looks up the event whose id was used again.

use factum_core::append::AppendError;
use factum_core::position::Position;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::error::BackendError;

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

async fn find(connection: &mut PgConnection, id: Uuid) -> Result<Option<Position>, BackendError> {
    let sql = "select position from event where id = $1";
    let position: Option<i64> = sqlx::query_scalar(sql)
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(position.map(|position| Position::new(position as u64)))
}
