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
use super::stream_write::{StreamWrite, Written};
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
    let mut writes: Vec<StreamWrite> = Vec::new();
    let mut size = AppendSize::default();
    while let Some(request) = requests.message().await? {
        let stream = stream_named(&request.stream).map_err(|refused| errors::status(&refused))?;
        if writes.iter().any(|write| write.stream == stream) {
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
        let mut events = Vec::with_capacity(request.records.len());
        for record in request.records {
            events.push(record::event(stream.as_str(), record, &mut size)?);
        }
        writes.push(StreamWrite {
            stream,
            expected,
            events,
        });
    }
    if writes.is_empty() {
        return Err(errors::no_requests());
    }
    let written = write(store, &writes).await;
    let written = written.map_err(|refused| errors::status(&refused))?;
    let output = writes
        .iter()
        .zip(&written)
        .map(|(write, written)| AppendResponse {
            stream: write.stream.to_string(),
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
        return Err(refused(Refused::Invalid(
            "missing records; expected at least one".to_owned(),
        )));
    }
    let checks = Checks::new(request.checks).map_err(refused)?;
    let mut writes: Vec<StreamWrite> = Vec::new();
    let mut size = AppendSize::default();
    for record in request.records {
        let stream = stream_named(&record.stream).map_err(refused)?;
        let event = record::event(stream.as_str(), record, &mut size)?;
        match writes.iter_mut().find(|write| write.stream == stream) {
            Some(write) => write.events.push(event),
            None => {
                let expected = checks.expected(&stream);
                writes.push(StreamWrite {
                    stream,
                    expected,
                    events: vec![event],
                });
            }
        }
    }
    let streams = writes.len();
    let written = checked_write(store, writes.clone(), &checks).await?;
    let revisions = writes
        .iter()
        .zip(&written)
        .map(|(write, written)| StreamRevision {
            stream: write.stream.to_string(),
            revision: revision(written),
        });
    Ok(AppendRecordsResponse {
        revisions: revisions.collect(),
        position: position(&written[..streams]),
    })
}

async fn checked_write(
    store: &dyn Store,
    mut writes: Vec<StreamWrite>,
    checks: &Checks,
) -> Result<Vec<Written>, Status> {
    let streams = writes.len();
    for _ in 0..MAX_ATTEMPTS {
        let states = checks
            .states(store)
            .await
            .map_err(|refused| errors::status(&refused))?;
        let violations = checks.violations(&states);
        if !violations.is_empty() {
            // The records may be stored already; then the state of the streams is that after the write.
            let repeated = checks.repeated(store, &writes[..streams]).await;
            let repeated = repeated.map_err(|refused| errors::status(&refused))?;
            return repeated.ok_or_else(|| errors::violations(violations));
        }
        writes.truncate(streams);
        writes.extend(checks.without_records(&writes, &states));
        match write(store, &writes).await {
            Ok(written) => return Ok(written),
            // A stream has changed since its state was checked.
            Err(Refused::WrongExpectedVersion { .. }) if !checks.is_empty() => {}
            Err(refused) => return Err(errors::status(&refused)),
        }
    }
    Err(errors::status(&Refused::Contended))
}

fn revision(written: &Written) -> i64 {
    written.revision.map_or(-1, |revision| revision as i64)
}

/// Returns the position of the last event.
fn position(written: &[Written]) -> i64 {
    let positions = written.iter().filter_map(|written| written.position);
    positions.max().map_or(-1, |position| position.get() as i64)
}
