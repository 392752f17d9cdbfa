//! Appends.

use std::sync::Arc;

use factum::store::{Append, EventStore, Store};
use factum_store_protocol::refusal::{append_status, failure, invalid_status};
use factum_store_protocol::v1;
use factum_store_protocol::v1::append_stream_response::Result as Outcome;
use factum_store_protocol::{append as messages, time};
use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

/// The maximum number of appends of one stream that are under way at the same time.
const MAX_IN_FLIGHT: usize = 256;

pub async fn append(
    store: &dyn Store,
    request: v1::AppendRequest,
) -> Result<v1::AppendResponse, Status> {
    let appended = store.append(append_of(Some(request))?).await;
    let appended = appended.map_err(|error| append_status(&error))?;
    Ok(messages::appended_message(&appended))
}

/// Stores the appends of one stream in their order, without waiting for each answer.
pub fn append_stream(
    store: Arc<dyn Store>,
    requests: Streaming<v1::AppendStreamRequest>,
) -> impl Stream<Item = Result<v1::AppendStreamResponse, Status>> + Send {
    let answers = requests.map(move |request| {
        let store = store.clone();
        async move {
            let request = request?;
            let request_id = request.request_id;
            // A store executes appends in the order in which they are first polled.
            let appended = append(&*store, request.append.unwrap_or_default()).await;
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

/// Converts the message of an append; the error is a status.
fn append_of(message: Option<v1::AppendRequest>) -> Result<Append, Status> {
    messages::from_message(message.unwrap_or_default()).map_err(|invalid| invalid_status(&invalid))
}
