//! Reads of stored events, and of the head.

use std::sync::Arc;

use factum::Position;
use factum::store::{MAX_PAGE, Read, Store};
use factum_compatible_protocols::umadb;
use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use super::error::{invalid, store_failed};
use super::{event, query};
use crate::log_head::read_head;
use crate::paged_read::PagedRead;

pub async fn read(
    store: Arc<dyn Store>,
    request: umadb::ReadRequest,
) -> Result<impl Stream<Item = Result<umadb::ReadResponse, Status>> + Send, Status> {
    if request.subscribe() {
        return Err(invalid(
            "subscribe",
            "a read does not wait for new events; call Subscribe",
        ));
    }
    let limit = request.limit;
    let read = PagedRead::new(store, range(&request), limit.map(u64::from))
        .max_batch(batch_size(request.batch_size));
    let started = read.start().await;
    let (_, batches) = started.map_err(|error| store_failed(&error))?;
    Ok(batches.map(move |batch| {
        let batch = batch.map_err(|error| store_failed(&error))?;
        // A limited read has only seen the log up to its last event.
        let head = match limit {
            None => position_of(batch.head),
            Some(_) => batch.events.last().map(|last| last.position.get()),
        };
        let events = batch.events.iter().map(event::to_message).collect();
        Ok(umadb::ReadResponse { events, head })
    }))
}

/// Returns the read of a request. Its start is inclusive in both directions.
fn range(request: &umadb::ReadRequest) -> Read {
    let read = Read::all(query::from_message(request.query.clone()));
    match (request.backwards(), request.start) {
        (false, start) => read.after(Position::new(start.unwrap_or(0).saturating_sub(1))),
        (true, None) => read.backward(),
        (true, Some(start)) => read.before(Position::new(start.saturating_add(1))),
    }
}

/// Returns the maximum number of events in an answer.
pub fn batch_size(requested: Option<u32>) -> usize {
    requested.map_or(MAX_PAGE, |size| (size as usize).clamp(1, MAX_PAGE))
}

/// Returns the position of the newest event.
pub async fn head(store: &dyn Store) -> Result<Option<u64>, Status> {
    let head = read_head(store).await;
    let head = head.map_err(|error| store_failed(&error))?;
    Ok(position_of(head))
}

fn position_of(head: Position) -> Option<u64> {
    (head > Position::ZERO).then_some(head.get())
}
