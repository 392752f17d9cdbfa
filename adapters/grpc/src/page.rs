//! Reads: collects the messages of a call into a page.

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::read::{Page, Read};
use factum_core::record::RecordedEvent;
use factum_store_protocol::read::ReadRequest;
use factum_store_protocol::refusal::{RequestKind, store_error};
use factum_store_protocol::{event, read, v1};
use tonic::{Status, Streaming};

use crate::open::GrpcStore;

/// A message of a read.
trait ReadAnswer {
    fn into_parts(self) -> (Vec<v1::Event>, u64, bool);
}

impl ReadAnswer for v1::ReadStreamResponse {
    fn into_parts(self) -> (Vec<v1::Event>, u64, bool) {
        (self.events, self.head, self.more)
    }
}

impl ReadAnswer for v1::ReadAllResponse {
    fn into_parts(self) -> (Vec<v1::Event>, u64, bool) {
        (self.events, self.head, self.more)
    }
}

/// Reads one page from the server.
pub async fn read(store: &GrpcStore, request: &Read) -> Result<Page, StoreError> {
    let mut client = store.events.clone();
    let failed = |status: Status| store_error(status, RequestKind::Read);
    match read::to_message(request) {
        ReadRequest::Stream(message) => {
            let batches = client.read_stream(message).await.map_err(failed)?;
            collect(batches.into_inner(), request).await
        }
        ReadRequest::All(message) => {
            let batches = client.read_all(message).await.map_err(failed)?;
            collect(batches.into_inner(), request).await
        }
    }
}

/// Collects events until the server or the page ends.
async fn collect(
    mut batches: Streaming<impl ReadAnswer>,
    request: &Read,
) -> Result<Page, StoreError> {
    let mut page = Page {
        events: Vec::new(),
        head: Position::ZERO,
        more: false,
    };
    let mut bytes = 0;
    loop {
        let batch = batches.message().await;
        let Some(batch) = batch.map_err(|status| store_error(status, RequestKind::Read))? else {
            return Ok(page);
        };
        let (events, head, more) = batch.into_parts();
        page.head = Position::new(head);
        page.more = more;
        for event in events {
            if bytes >= request.max_bytes || page.events.len() >= request.limit {
                // The rest of the read is dropped; the next page begins after the last event.
                page.more = true;
                return Ok(page);
            }
            let event = event::from_message(event);
            let event: RecordedEvent =
                event.map_err(|invalid| StoreError::Corrupt(invalid.to_string()))?;
            bytes += event.size();
            page.events.push(event);
        }
    }
}
