//! Version 2 of the protocol: appends to several streams in one transaction.

mod checks;
mod errors;
mod record;

use factum::store::Store;
use factum_compatible_protocols::kurrentdb::v2::streams::{
    AppendRecordsRequest, AppendRecordsResponse, AppendRequest, AppendResponse,
    AppendSessionResponse, StreamRevision,
};
use tonic::{Status, Streaming};

use super::errors::Refused;
use super::event::stream_named;
use super::expected::ExpectedState;
use super::stream_write::{EventWrite, Written};
use super::write::{MAX_ATTEMPTS, write};
use checks::Checks;
use record::AppendSize;

/// Stores the events of a session, whose requests contain one stream each.
///
/// # Errors
/// Returns the status of the call if a request is not valid, a stream is not as expected, or the store fails.
pub async fn append_session(
    store: &dyn Store,
    mut requests: Streaming<AppendRequest>,
) -> Result<AppendSessionResponse, Status> {
    let mut write_request = EventWrite::default();
    let mut size = AppendSize::default();
    while let Some(request) = requests.message().await? {
        let stream = stream_named(&request.stream).map_err(|refused| errors::status(&refused))?;
        if write_request.index_of(&stream).is_some() {
            return Err(errors::already_in_session(&request.stream));
        }
        if request.records.is_empty() {
            let rule = format!("the request for the stream {stream} has no records");
            return Err(errors::status(&Refused::Invalid(rule)));
        }
        let expected = match request.expected_revision {
            Some(number) => checks::expected_state(number),
            None => Ok(ExpectedState::Any),
        };
        let expected = expected.map_err(|refused| errors::status(&refused))?;
        let index = write_request.add_stream(stream.clone(), expected);
        for record in request.records {
            let event = record::event(stream.as_str(), record, &mut size)?;
            write_request.add_event(index, event);
        }
    }
    if write_request.streams().is_empty() {
        return Err(errors::no_requests());
    }
    let written = write(store, &write_request).await;
    let written = written.map_err(|refused| errors::status(&refused))?;
    let streams = write_request.streams().iter().zip(&written);
    let output = streams.map(|(stream, written)| AppendResponse {
        stream: stream.stream.to_string(),
        stream_revision: revision(written),
        position: written.position.map(|position| position.get() as i64),
    });
    Ok(AppendSessionResponse {
        output: output.collect(),
        position: position(&written),
    })
}

/// Stores records of any streams if all checks hold.
///
/// # Errors
/// Returns the status of the call if a record is not valid, a check fails, or the store fails.
pub async fn append_records(
    store: &dyn Store,
    request: AppendRecordsRequest,
) -> Result<AppendRecordsResponse, Status> {
    let refused = |refused: Refused| errors::status(&refused);
    if request.records.is_empty() {
        let rule = "missing records; expected at least one";
        return Err(refused(Refused::Invalid(rule.to_owned())));
    }
    let checks = Checks::new(request.checks).map_err(refused)?;
    let mut write_request = EventWrite::default();
    let mut size = AppendSize::default();
    for record in request.records {
        let stream = stream_named(&record.stream).map_err(refused)?;
        let event = record::event(stream.as_str(), record, &mut size)?;
        let index = match write_request.index_of(&stream) {
            Some(index) => index,
            None => {
                let expected = checks.expected(&stream);
                write_request.add_stream(stream, expected)
            }
        };
        write_request.add_event(index, event);
    }
    let written = checked_write(store, &write_request, &checks).await?;
    let streams = write_request.streams().iter().zip(&written);
    let revisions = streams.map(|(stream, written)| StreamRevision {
        stream: stream.stream.to_string(),
        revision: revision(written),
    });
    Ok(AppendRecordsResponse {
        revisions: revisions.collect(),
        position: position(&written),
    })
}

/// Returns a result for each stream of `records`.
async fn checked_write(
    store: &dyn Store,
    records: &EventWrite,
    checks: &Checks,
) -> Result<Vec<Written>, Status> {
    let refused = |refused: Refused| errors::status(&refused);
    for _ in 0..MAX_ATTEMPTS {
        let states = checks.states(store).await.map_err(refused)?;
        let violations = checks.violations(&states);
        if !violations.is_empty() {
            // The records may be stored already; then the state of the streams is that after the write.
            let repeated = checks.repeated(store, records).await.map_err(refused)?;
            return repeated.ok_or_else(|| errors::violations(violations));
        }
        let checked = checks.and_other_streams(records.clone(), &states);
        match write(store, &checked).await {
            Ok(mut written) => {
                written.truncate(records.streams().len());
                return Ok(written);
            }
            // A stream has changed since its state was checked.
            Err(Refused::WrongExpectedVersion { .. }) if !checks.is_empty() => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Err(refused(Refused::Contended))
}

fn revision(written: &Written) -> i64 {
    written.revision.map_or(-1, |revision| revision as i64)
}

/// Returns the position of the last event.
fn position(written: &[Written]) -> i64 {
    let positions = written.iter().filter_map(|written| written.position);
    positions.max().map_or(-1, |position| position.get() as i64)
}
