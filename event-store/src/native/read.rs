//! Reads: pages of the store as a sequence of messages.

use std::sync::Arc;

use factum::store::{Read, Scope, Store};
use factum_store_protocol::encoded::{EncodedEvents, ReadAllResponse, ReadStreamResponse};
use factum_store_protocol::refusal::{invalid_status, store_status, stream_not_found};
use factum_store_protocol::{read as messages, time, v1};
use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use crate::paged_read::{PagedRead, ReadBatch};

pub async fn stream(
    store: Arc<dyn Store>,
    request: v1::ReadStreamRequest,
) -> Result<impl Stream<Item = Result<ReadStreamResponse, Status>> + Send, Status> {
    let (limit, must_exist) = (request.limit, request.must_exist);
    let name = request.stream.clone();
    let read = messages::of_stream(request).map_err(|invalid| invalid_status(&invalid))?;
    let whole = read.scope.clone();
    let (is_empty, batches) = start(store.clone(), read, limit).await?;
    // The stream may have events outside of the range of the read.
    if is_empty && must_exist && !has_events(&*store, whole).await? {
        return Err(stream_not_found(&name));
    }
    Ok(batches.map(|batch| {
        let batch = batch?;
        Ok(ReadStreamResponse::of(
            EncodedEvents::of(&batch.events),
            batch.head,
            batch.more,
        ))
    }))
}

/// Starts a read of at most `limit` events; 0 for no limit.
async fn start(
    store: Arc<dyn Store>,
    read: Read,
    limit: u64,
) -> Result<(bool, impl Stream<Item = Result<ReadBatch, Status>> + Send), Status> {
    let read = PagedRead::new(store, read, (limit > 0).then_some(limit));
    let started = read.start().await;
    let (is_empty, batches) = started.map_err(|error| store_status(&error))?;
    let batches = batches.map(|batch| batch.map_err(|error| store_status(&error)));
    Ok((is_empty, batches))
}

async fn has_events(store: &dyn Store, scope: Scope) -> Result<bool, Status> {
    let Scope::Stream(stream) = scope else {
        return Ok(true);
    };
    let page = store.read(Read::stream(stream).limit(1)).await;
    let page = page.map_err(|error| store_status(&error))?;
    Ok(!page.events.is_empty())
}

pub async fn all(
    store: Arc<dyn Store>,
    request: v1::ReadAllRequest,
) -> Result<impl Stream<Item = Result<ReadAllResponse, Status>> + Send, Status> {
    let limit = request.limit;
    let read = messages::of_all(request).map_err(|invalid| invalid_status(&invalid))?;
    let (_, batches) = start(store, read, limit).await?;
    Ok(batches.map(|batch| {
        let batch = batch?;
        Ok(ReadAllResponse::of(
            EncodedEvents::of(&batch.events),
            batch.head,
            batch.more,
        ))
    }))
}

pub async fn list(
    store: &dyn Store,
    request: v1::ListStreamsRequest,
) -> Result<v1::ListStreamsResponse, Status> {
    let list = messages::list(request).map_err(|invalid| invalid_status(&invalid))?;
    let limit = list.limit;
    let streams = store
        .list_streams(list)
        .await
        .map_err(|error| store_status(&error))?;
    let last = streams.last().filter(|_| streams.len() == limit);
    let next_page_token = last.map(|last| last.stream.to_string()).unwrap_or_default();
    Ok(v1::ListStreamsResponse {
        streams: streams.iter().map(messages::summary_message).collect(),
        next_page_token,
    })
}

pub async fn event_types(
    store: &dyn Store,
    request: v1::ListEventTypesRequest,
) -> Result<v1::ListEventTypesResponse, Status> {
    let list = messages::event_types(request);
    let limit = list.limit;
    let types = store.list_event_types(list).await;
    let types = types.map_err(|error| store_status(&error))?;
    let last = types.last().filter(|_| types.len() == limit);
    let next_page_token = last.map(|last| last.name.clone()).unwrap_or_default();
    let types = types.into_iter().map(|summary| v1::EventTypeSummary {
        event_type: summary.name,
        position: summary.position.get(),
    });
    Ok(v1::ListEventTypesResponse {
        event_types: types.collect(),
        next_page_token,
    })
}

pub async fn describe(
    store: &dyn Store,
    request: v1::DescribeStreamRequest,
) -> Result<v1::DescribeStreamResponse, Status> {
    let name = request.stream.clone();
    let newest = messages::of_stream(v1::ReadStreamRequest {
        stream: request.stream,
        direction: v1::Direction::Backward.into(),
        ..v1::ReadStreamRequest::default()
    });
    let newest = newest.map_err(|invalid| invalid_status(&invalid))?;
    let page = store
        .read(newest.limit(1))
        .await
        .map_err(|error| store_status(&error))?;
    let last = page.events.first().ok_or_else(|| stream_not_found(&name))?;
    Ok(v1::DescribeStreamResponse {
        stream: Some(v1::StreamSummary {
            stream: name,
            version: last.version.get(),
            position: last.position.get(),
        }),
        changed_at: Some(time::to_message(last.recorded_at)),
    })
}
