//! The conversion of the errors of the client.

use factum_core::error::{BoxError, Outage, StoreError};
use factum_core::stream_id::StreamId;
use kurrentdb::Error;

/// The kind of a request, which decides what a lost answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// The request changes nothing.
    Read,
    /// The request may have been carried out.
    Append,
}

/// Returns the error of the store for an error of the client.
pub fn store_error(error: Error, kind: RequestKind) -> StoreError {
    match error {
        // Nothing was sent, or another node refused the request.
        Error::GrpcConnectionError(_) | Error::NotLeaderException(_) => {
            StoreError::Unavailable(outage(error))
        }
        Error::ServerError(_) | Error::DeadlineExceeded | Error::ConnectionClosed => match kind {
            RequestKind::Read => StoreError::Unavailable(outage(error)),
            RequestKind::Append => StoreError::Interrupted(outage(error)),
        },
        error => StoreError::Failed(Box::new(error)),
    }
}

fn outage(error: Error) -> Outage {
    Outage::from(BoxError::from(error))
}

/// Returns the error for a stream that has ended.
pub fn has_tombstone(stream: &StreamId) -> StoreError {
    let text = format!("stream {stream} has a tombstone; use a stream with another name");
    StoreError::Failed(text.into())
}
