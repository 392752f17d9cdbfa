//! [`line`]: a change as a line of an export.

use serde::Serialize;

use crate::app::AppError;
use crate::specs::app::Change;

#[derive(Serialize)]
struct ChangeLine<'a> {
    position: u64,
    id: String,
    revision: u64,
    event_id: String,
    event_type: String,
    occurred_at: String,
    actor: String,
    reason: Option<&'a str>,
    correlation_id: Option<String>,
    payload: serde_json::Value,
}

/// Returns a change as a JSON object in one line, with its end.
pub fn line(change: &Change) -> Result<String, AppError> {
    let record = &change.event.record;
    let internal = |error: serde_json::Error| AppError::Internal(error.into());
    let line = ChangeLine {
        position: record.position.get(),
        id: change.id.to_string(),
        revision: record.version.get(),
        event_id: record.id.to_string(),
        event_type: record.name.to_string(),
        occurred_at: record.recorded_at.to_string(),
        actor: change.actor(),
        reason: change.reason(),
        correlation_id: record.metadata.correlation_id.map(|id| id.to_string()),
        payload: serde_json::from_slice(&record.data).map_err(internal)?,
    };
    let mut line = serde_json::to_string(&line).map_err(internal)?;
    line.push('\n');
    Ok(line)
}
