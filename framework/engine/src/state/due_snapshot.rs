//! [`DueSnapshot`]: a snapshot that is due, before its state is encoded.

use std::sync::Arc;

use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;
use factum_core::stream_id::StreamId;

use crate::domain::aggregate::{Aggregate, SnapshotPolicy};
use crate::state::aggregate_state::AggregateState;

/// A snapshot that is due, before its state is encoded.
///
/// The command that changed the state does not wait for the encoding.
pub struct DueSnapshot {
    pub stream: StreamId,
    pub version: Version,
    position: Position,
    schema_version: u32,
    encode: Box<dyn FnOnce() -> Result<Vec<u8>, SnapshotEncodeError> + Send>,
}

/// A state was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotEncodeError {
    #[error(
        "snapshot is too large: {bytes} bytes; the limit is {limit}; keep large contents out of the state, or raise \
         `max_bytes` of its snapshots"
    )]
    TooLarge { bytes: usize, limit: usize },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl DueSnapshot {
    /// Sets the position of the event of its version.
    pub fn at(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// Encodes the state, which takes long if it is large.
    pub fn encode(self) -> Result<Snapshot, SnapshotEncodeError> {
        Ok(Snapshot {
            data: (self.encode)()?.into(),
            stream: self.stream,
            version: self.version,
            position: self.position,
            schema_version: self.schema_version,
        })
    }
}

/// Returns a snapshot of `state`, if one is due since the version `previous`.
///
/// It is due if the version has passed a multiple of the policy's interval since `previous`.
pub fn due_snapshot<A: Aggregate>(
    state: &AggregateState<A>,
    previous: Version,
) -> Option<DueSnapshot> {
    let policy = A::SNAPSHOT?;
    let every = policy.every.max(1);
    if previous >= state.version || state.version.get() / every == previous.get() / every {
        return None;
    }
    Some(DueSnapshot {
        stream: state.stream.clone(),
        version: state.version,
        position: state.position,
        schema_version: policy.schema_version,
        encode: encoder(policy, state.state.clone()),
    })
}

fn encoder<A: Aggregate>(
    policy: SnapshotPolicy<A>,
    state: Arc<A>,
) -> Box<dyn FnOnce() -> Result<Vec<u8>, SnapshotEncodeError> + Send> {
    Box::new(move || {
        let encoded = match cfg!(debug_assertions) {
            true => policy.encode_checked(&state)?,
            false => (policy.encode)(&state)?,
        };
        let (bytes, limit) = (encoded.len(), policy.max_bytes);
        match bytes > limit {
            true => Err(SnapshotEncodeError::TooLarge { bytes, limit }),
            false => Ok(encoded),
        }
    })
}
