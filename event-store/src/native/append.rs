//! Appends.

use std::sync::Arc;

use factum::store::{Append, EventStore, Metadata, Store};
use factum_store_protocol::refusal::{append_status, failure, invalid_status};
use factum_store_protocol::v1;
use factum_store_protocol::v1::append_stream_response::Result as Outcome;
use factum_store_protocol::{append as messages, time};
use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

/// The maximum number of appends of one stream that are under way at the same time.
const MAX_IN_FLIGHT: usize = 256;

/// Stores an append. Events without a trace context get that of the call.
pub async fn append(
    store: &dyn Store,
    request: v1::AppendRequest,
    trace_parent: Option<&str>,
) -> Result<v1::AppendResponse, Status> {
    let mut append = append_of(Some(request))?;
    if let Some(trace_parent) = trace_parent {
        add_trace_parent(&mut append, trace_parent);
    }
    let appended = store.append(append).await;
    let appended = appended.map_err(|error| append_status(&error))?;
    Ok(messages::appended_message(&appended))
}

/// Stores the appends of one stream in their order, without waiting for each answer.
pub fn append_stream(
    store: Arc<dyn Store>,
    requests: Streaming<v1::AppendStreamRequest>,
    trace_parent: Option<String>,
) -> impl Stream<Item = Result<v1::AppendStreamResponse, Status>> + Send {
    let answers = requests.map(move |request| {
        let (store, trace_parent) = (store.clone(), trace_parent.clone());
        async move {
            let request = request?;
            let request_id = request.request_id;
            // A store executes appends in the order in which they are first polled.
            let append_request = request.append.unwrap_or_default();
            let appended = append(&*store, append_request, trace_parent.as_deref()).await;
            let result = match appended {
                Ok(appended) => Outcome::Appended(appended),
                Err(status) => Outcome::Failed(failure(&status)),
            };
            Ok(v1::AppendStreamResponse {
                request_id,
                result: Some(result),
            })
        }
    });
    answers.buffered(MAX_IN_FLIGHT)
}

pub async fn find(
    store: &dyn Store,
    request: v1::FindAppendRequest,
) -> Result<v1::FindAppendResponse, Status> {
    let key = messages::key(&request.idempotency_key.unwrap_or_default());
    let key = key.map_err(|invalid| invalid_status(&invalid))?;
    let found = store
        .find(&key)
        .await
        .map_err(|error| append_status(&error))?;
    Ok(v1::FindAppendResponse {
        appended: found.as_ref().map(messages::appended_message),
    })
}

pub async fn import(
    store: &dyn Store,
    request: v1::ImportRequest,
) -> Result<v1::ImportResponse, Status> {
    let append = append_of(request.append)?;
    let time = time::from_message("recorded_at", request.recorded_at.as_ref());
    let time = time.map_err(|invalid| invalid_status(&invalid))?;
    let imported = EventStore::import(store, append, time).await;
    let imported = imported.map_err(|error| append_status(&error))?;
    Ok(v1::ImportResponse {
        appended: Some(messages::appended_message(&imported)),
    })
}

fn add_trace_parent(append: &mut Append, trace_parent: &str) {
    // Events share their metadata, and continue to share them.
    let mut shared: Option<(Arc<Metadata>, Arc<Metadata>)> = None;
    for event in append.events.iter_mut().map(|part| &mut part.event) {
        if event.metadata.trace_parent.is_some() {
            continue;
        }
        if let Some((before, after)) = &shared
            && Arc::ptr_eq(before, &event.metadata)
        {
            event.metadata = after.clone();
            continue;
        }
        let before = event.metadata.clone();
        Arc::make_mut(&mut event.metadata).trace_parent = Some(trace_parent.to_owned());
        shared = Some((before, event.metadata.clone()));
    }
}

/// Converts the message of an append; the error is a status.
fn append_of(message: Option<v1::AppendRequest>) -> Result<Append, Status> {
    messages::from_message(message.unwrap_or_default()).map_err(|invalid| invalid_status(&invalid))
}
