//! Appends.

use std::sync::Arc;

use factum::store::{
    Append, AppendCondition, AppendError, Conflict, ExpectedVersion, Query, Read, RecordedEvent,
    Store, Violation,
};
use factum::{Position, StreamId};
use factum_compatible_protocols::umadb;
use tonic::Status;
use uuid::Uuid;

use super::error::{append_refused, store_failed};
use super::{event, query, tracking};
use crate::stored_events::are_stored;

/// Stores the events of `request` in `stream`, and returns the position of the last one.
///
/// A repeated append returns the first result. Without events, the result is 0.
pub async fn append(
    store: &Arc<dyn Store>,
    stream: StreamId,
    request: umadb::AppendRequest,
) -> Result<u64, Status> {
    let tracking = request.tracking_info;
    tracking::check(tracking.as_ref())?;
    let events = event::new_events(request.events, tracking.as_ref())?;
    let mut append = Append::default();
    if !events.events.is_empty() {
        append = append.and_stream(stream, ExpectedVersion::Any, events.events);
    }
    append.condition = request.condition.map(condition);
    let repetition = Repetition {
        ids: events.ids,
        condition: append.condition.clone(),
    };
    let Some(tracking) = tracking else {
        let stored = store.append(append).await;
        return result(store, stored, &repetition).await;
    };
    loop {
        let changes = match tracking::advance(&**store, &tracking).await {
            Ok(changes) => changes,
            // The first append has recorded the position as well.
            Err(refused) => return repetition.matching(store).await?.ok_or(refused),
        };
        match store.append(append.clone().with_changes(changes)).await {
            // Another append has recorded a position.
            Err(AppendError::Conflict(conflict)) if is_moved(&conflict) => {}
            stored => return result(store, stored, &repetition).await,
        }
    }
}

fn condition(message: umadb::AppendCondition) -> AppendCondition {
    AppendCondition {
        query: query::from_message(message.fail_if_events_match),
        after: Position::new(message.after.unwrap_or(0)),
    }
}

fn is_moved(conflict: &Conflict) -> bool {
    let mut violations = conflict.violations.iter();
    violations.any(|violation| matches!(violation, Violation::Document { .. }))
}

async fn result(
    store: &Arc<dyn Store>,
    stored: Result<factum::store::Appended, AppendError>,
    repetition: &Repetition,
) -> Result<u64, Status> {
    let error = match stored {
        Ok(appended) if appended.count == 0 => return Ok(0),
        Ok(appended) => return Ok(appended.position.get()),
        Err(error) => error,
    };
    let first = match &error {
        AppendError::Conflict(_) => repetition.matching(store).await?,
        AppendError::EventIdReused { id, position } => {
            repetition.stored_at(store, *id, *position).await?
        }
        _ => None,
    };
    first.ok_or_else(|| append_refused(&error))
}

/// The facts by which an append is recognized as a repetition of an earlier one.
struct Repetition {
    /// The ids of all events, if the client chose all of them.
    ids: Option<Vec<Uuid>>,
    condition: Option<AppendCondition>,
}

impl Repetition {
    /// Returns the last position of the events that violate the condition, if they are those of the append.
    async fn matching(&self, store: &Arc<dyn Store>) -> Result<Option<u64>, Status> {
        let (Some(ids), Some(condition)) = (&self.ids, &self.condition) else {
            return Ok(None);
        };
        let read = Read::all(condition.query.clone()).after(condition.after);
        compare(store, read, ids).await
    }

    /// Returns the position of the last event if the events of the append are stored one after the other.
    ///
    /// `id` is one of them, stored at `position`.
    async fn stored_at(
        &self,
        store: &Arc<dyn Store>,
        id: Uuid,
        position: Position,
    ) -> Result<Option<u64>, Status> {
        let Some(ids) = &self.ids else {
            return Ok(None);
        };
        let before = ids.iter().take_while(|it| **it != id).count() as u64;
        let after = position.get().checked_sub(before + 1);
        let Some(after) = after else {
            return Ok(None);
        };
        let read = Read::all(Query::all()).after(Position::new(after));
        compare(store, read, ids).await
    }
}

/// Returns the position of the last event if the first events of `read` have the ids `ids`.
async fn compare(store: &Arc<dyn Store>, read: Read, ids: &[Uuid]) -> Result<Option<u64>, Status> {
    let mut last = None;
    let is_event = |index: usize, event: &RecordedEvent| {
        last = Some(event.position.get());
        ids[index] == event.id
    };
    let is_repeated = are_stored(&**store, read, ids.len(), is_event).await;
    let is_repeated = is_repeated.map_err(|error| store_failed(&error))?;
    Ok(last.filter(|_| is_repeated))
}
