//! Appends to one stream: the first message contains the options, each other message one event.

use factum::store::{MAX_APPEND_BYTES, Store};
use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::Content;
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::wrong_expected_version::{
    CurrentRevisionOption as ActualRevision, CurrentRevisionOption2060 as OldActualRevision,
    ExpectedRevisionOption as Expectation, ExpectedRevisionOption2060 as OldExpectation,
};
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::{
    Position, Result as AppendResult, Success, WrongExpectedVersion, success,
};
use factum_compatible_protocols::kurrentdb::client::streams::{AppendReq, AppendResp};
use futures_util::StreamExt as _;
use tonic::{Status, Streaming};

use super::errors::Refused;
use super::event::{Proposal, stream};
use super::expected::ExpectedState;
use super::stream_write::{EventWrite, Written};
use super::write::write;

/// The name of the operation in messages.
const OPERATION: &str = "Append";

/// Stores the events of a call.
///
/// # Errors
/// Returns the status of the call if a message is not valid, or the store fails.
pub async fn append(
    store: &dyn Store,
    messages: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let request = receive(messages).await?;
    match write(store, &request).await {
        Ok(written) => Ok(response(AppendResult::Success(success(&written)))),
        Err(Refused::WrongExpectedVersion {
            expected, actual, ..
        }) => {
            let wrong = wrong_expected_version(expected, actual);
            Ok(response(AppendResult::WrongExpectedVersion(wrong)))
        }
        Err(refused) => Err(refused.status(OPERATION)),
    }
}

async fn receive(mut messages: Streaming<AppendReq>) -> Result<EventWrite, Status> {
    let invalid = |rule: &str| Refused::Invalid(rule.to_owned()).status(OPERATION);
    let mut request: Option<EventWrite> = None;
    let mut size = 0;
    while let Some(message) = messages.next().await {
        match (message?.content, &mut request) {
            (Some(Content::Options(options)), None) => {
                let stream = stream(options.stream_identifier);
                let stream = stream.map_err(|refused| refused.status(OPERATION))?;
                let expected = options.expected_stream_revision;
                let expected =
                    expected.ok_or_else(|| invalid("missing expected stream revision"))?;
                request = Some(EventWrite::to_stream(stream, expected.into()));
            }
            (Some(Content::Options(_)), Some(_)) => {
                return Err(invalid(
                    "the options occur twice; send them in the first message",
                ));
            }
            (Some(Content::ProposedMessage(message)), Some(request)) => {
                let event = Proposal {
                    id: message.id,
                    metadata: message.metadata,
                    custom_metadata: message.custom_metadata,
                    data: message.data,
                };
                let event = event
                    .into_event()
                    .map_err(|refused| refused.status(OPERATION))?;
                size += event.size();
                if size > MAX_APPEND_BYTES {
                    return Err(Refused::TooLarge { size }.status(OPERATION));
                }
                request.add_event(0, event);
            }
            (Some(Content::ProposedMessage(_)), None) => {
                return Err(invalid("missing options; send them in the first message"));
            }
            (None, _) => return Err(invalid("a message is empty; expected options or an event")),
        }
    }
    request.ok_or_else(|| invalid("missing options; send them in the first message"))
}

fn response(result: AppendResult) -> AppendResp {
    AppendResp {
        result: Some(result),
    }
}

fn success(written: &[Written]) -> Success {
    let written = written.first();
    let revision = written.and_then(|written| written.revision);
    let position = written.and_then(|written| written.position);
    Success {
        current_revision_option: Some(match revision {
            Some(revision) => success::CurrentRevisionOption::CurrentRevision(revision),
            None => success::CurrentRevisionOption::NoStream(Empty {}),
        }),
        position_option: Some(match position {
            Some(position) => success::PositionOption::Position(Position {
                commit_position: position.get(),
                prepare_position: position.get(),
            }),
            None => success::PositionOption::NoPosition(Empty {}),
        }),
    }
}

fn wrong_expected_version(expected: ExpectedState, actual: Option<u64>) -> WrongExpectedVersion {
    WrongExpectedVersion {
        current_revision_option_20_6_0: Some(match actual {
            Some(revision) => OldActualRevision::CurrentRevision2060(revision),
            None => OldActualRevision::NoStream2060(Empty {}),
        }),
        expected_revision_option_20_6_0: match expected {
            ExpectedState::Any => Some(OldExpectation::Any2060(Empty {})),
            ExpectedState::Exists => Some(OldExpectation::StreamExists2060(Empty {})),
            ExpectedState::Revision(revision) => {
                Some(OldExpectation::ExpectedRevision2060(revision))
            }
            ExpectedState::NoStream => None,
        },
        current_revision_option: Some(match actual {
            Some(revision) => ActualRevision::CurrentRevision(revision),
            None => ActualRevision::CurrentNoStream(Empty {}),
        }),
        expected_revision_option: Some(match expected {
            ExpectedState::Any => Expectation::ExpectedAny(Empty {}),
            ExpectedState::Exists => Expectation::ExpectedStreamExists(Empty {}),
            ExpectedState::NoStream => Expectation::ExpectedNoStream(Empty {}),
            ExpectedState::Revision(revision) => Expectation::ExpectedRevision(revision),
        }),
    }
}
