//! Appends of one connection: each has a correlation id, may arrive in parts, and has its own answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use factum::Timestamp;
use factum::store::{MAX_APPEND_BYTES, Store};
use factum_compatible_protocols::kurrentdb::client::streams::batch_append_req::options::DeadlineOption;
use factum_compatible_protocols::kurrentdb::client::streams::batch_append_resp::{
    Result as BatchResult, Success, success,
};
use factum_compatible_protocols::kurrentdb::client::streams::{
    BatchAppendReq, BatchAppendResp, batch_append_req,
};
use factum_compatible_protocols::kurrentdb::client::{AllStreamPosition, StreamIdentifier, Uuid};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

use super::errors::Refused;
use super::event::{Proposal, id, stream};
use super::expected::ExpectedState;
use super::stream_write::{EventWrite, Written};
use super::write::write;

/// The longest time limit of an append.
const MAX_TIME: Duration = Duration::from_secs(600);

/// The maximum number of appends of a connection that are not complete.
const MAX_PENDING: usize = 1_000;

/// The maximum size of the events of incomplete appends of a connection, in bytes.
const MAX_PENDING_BYTES: usize = 2 * MAX_APPEND_BYTES;

/// An append whose last part has not arrived.
struct Pending {
    write: EventWrite,
    expected: ExpectedState,
    stream_identifier: Option<StreamIdentifier>,
    deadline: Instant,
    size: usize,
}

/// The appends of a connection.
struct Batches {
    store: Arc<dyn Store>,
    messages: Streaming<BatchAppendReq>,
    pending: HashMap<uuid::Uuid, Pending>,
    pending_bytes: usize,
}

/// Stores the appends of a connection one after the other, and returns the answers.
pub fn batch_append(
    store: Arc<dyn Store>,
    messages: Streaming<BatchAppendReq>,
) -> impl Stream<Item = Result<BatchAppendResp, Status>> + Send {
    let batches = Batches {
        store,
        messages,
        pending: HashMap::new(),
        pending_bytes: 0,
    };
    try_unfold(batches, |mut batches| async move {
        let answer = batches.next().await?;
        Ok(answer.map(|answer| (answer, batches)))
    })
}

impl Batches {
    /// Receives messages until an append is complete, and returns its answer.
    async fn next(&mut self) -> Result<Option<BatchAppendResp>, Status> {
        while let Some(message) = self.messages.message().await? {
            if let Some(answer) = self.add(message).await? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    async fn add(&mut self, message: BatchAppendReq) -> Result<Option<BatchAppendResp>, Status> {
        let correlation_id = message.correlation_id.clone();
        let id = id(correlation_id.as_ref()).map_err(|refused| refused.status("BatchAppend"))?;
        let stream_identifier = message
            .options
            .as_ref()
            .and_then(|o| o.stream_identifier.clone());
        let mut pending = match (message.options, self.pending.remove(&id)) {
            (_, Some(pending)) => {
                self.pending_bytes -= pending.size;
                pending
            }
            (Some(options), None) => match begin(options) {
                Ok(pending) => pending,
                Err(refused) => {
                    return Ok(Some(failure(correlation_id, stream_identifier, &refused)));
                }
            },
            // A part of an append that was answered already.
            (None, None) => return Ok(None),
        };
        if let Err(refused) = pending.add(message.proposed_messages) {
            return Ok(Some(failure(
                correlation_id,
                pending.stream_identifier,
                &refused,
            )));
        }
        if !message.is_final {
            self.pending_bytes += pending.size;
            self.pending.insert(id, pending);
            if self.pending.len() > MAX_PENDING || self.pending_bytes > MAX_PENDING_BYTES {
                return Err(Status::resource_exhausted(
                    "the connection has too many incomplete appends; send the last part of each append",
                ));
            }
            return Ok(None);
        }
        let written = timeout_at(pending.deadline, write(&*self.store, &pending.write)).await;
        let written = written.unwrap_or(Err(Refused::DeadlinePassed));
        Ok(Some(match written {
            Ok(written) => BatchAppendResp {
                correlation_id,
                result: Some(BatchResult::Success(success(&written))),
                stream_identifier: pending.stream_identifier,
                expected_stream_position: Some(pending.expected.into()),
            },
            Err(refused) => BatchAppendResp {
                expected_stream_position: Some(pending.expected.into()),
                ..failure(correlation_id, pending.stream_identifier, &refused)
            },
        }))
    }
}

fn begin(options: batch_append_req::Options) -> Result<Pending, Refused> {
    let stream_identifier = options.stream_identifier.clone();
    let stream = stream(options.stream_identifier)?;
    let missing = || Refused::Invalid("missing expected stream position".to_owned());
    let expected = options.expected_stream_position.ok_or_else(missing)?;
    let expected = ExpectedState::from(expected);
    let time = match options.deadline_option {
        Some(DeadlineOption::Deadline(time)) => Duration::try_from(time).unwrap_or_default(),
        Some(DeadlineOption::Deadline21100(deadline)) => {
            let micros =
                deadline.seconds.saturating_mul(1_000_000) + i64::from(deadline.nanos / 1_000);
            Timestamp::from_micros(micros).since(Timestamp::now())
        }
        None => MAX_TIME,
    };
    if time.is_zero() {
        return Err(Refused::DeadlinePassed);
    }
    Ok(Pending {
        write: EventWrite::to_stream(stream, expected),
        expected,
        stream_identifier,
        deadline: Instant::now() + time.min(MAX_TIME),
        size: 0,
    })
}

impl Pending {
    fn add(&mut self, messages: Vec<batch_append_req::ProposedMessage>) -> Result<(), Refused> {
        for message in messages {
            let event = Proposal {
                id: message.id,
                metadata: message.metadata,
                custom_metadata: message.custom_metadata,
                data: message.data,
            };
            let event = event.into_event()?;
            self.size += event.size();
            self.write.add_event(0, event);
            if self.size > MAX_APPEND_BYTES {
                return Err(Refused::TooLarge { size: self.size });
            }
        }
        match Instant::now() > self.deadline {
            true => Err(Refused::DeadlinePassed),
            false => Ok(()),
        }
    }
}

fn failure(
    correlation_id: Option<Uuid>,
    stream_identifier: Option<StreamIdentifier>,
    refused: &Refused,
) -> BatchAppendResp {
    BatchAppendResp {
        correlation_id,
        result: Some(BatchResult::Error(refused.batch_status())),
        stream_identifier,
        expected_stream_position: None,
    }
}

fn success(written: &[Written]) -> Success {
    let written = written.first();
    let revision = written.and_then(|written| written.revision);
    let position = written.and_then(|written| written.position);
    Success {
        current_revision_option: Some(match revision {
            Some(revision) => success::CurrentRevisionOption::CurrentRevision(revision),
            None => success::CurrentRevisionOption::NoStream(()),
        }),
        position_option: Some(match position {
            Some(position) => success::PositionOption::Position(AllStreamPosition {
                commit_position: position.get(),
                prepare_position: position.get(),
            }),
            None => success::PositionOption::NoPosition(()),
        }),
    }
}
