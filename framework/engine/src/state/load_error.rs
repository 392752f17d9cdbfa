//! [`LoadError`]: the reasons why a state cannot be loaded.

use factum_core::position::Version;
use factum_core::stream_id::{InvalidStreamId, StreamId};

use crate::domain::error::{DecodeError, StoreError};

/// The state of an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The id is not a valid key of a stream.
    #[error(transparent)]
    InvalidStreamId(#[from] InvalidStreamId),
    /// The stream has not reached the requested version.
    #[error("{stream} has no version {requested}; its latest version is {actual}")]
    NoSuchVersion {
        /// The stream.
        stream: StreamId,
        /// The requested version.
        requested: Version,
        /// The version of the stream.
        actual: Version,
    },
}
