//! Between the messages and what the service says.

use factum::Timestamp;
use tonic::Status;

use super::generated as proto;
use super::status;
use crate::app::{Change, SpecSummary, SpecView};
use crate::domain::{SpecId, SpecState};

pub(super) fn id(text: &str) -> Result<SpecId, Status> {
    let id = text
        .parse()
        .map_err(|_| status::malformed("id", "it is no UUID"))?;
    Ok(SpecId(id))
}

/// The state that a list is asked for; unspecified: any that lives.
pub(super) fn state(number: Option<i32>) -> Result<Option<SpecState>, Status> {
    let Some(number) = number else {
        return Ok(None);
    };
    let unknown = |_| status::malformed("state", "it is none of the states");
    Ok(match proto::SpecState::try_from(number).map_err(unknown)? {
        proto::SpecState::Unspecified => None,
        proto::SpecState::Draft => Some(SpecState::Draft),
        proto::SpecState::Published => Some(SpecState::Published),
        proto::SpecState::Deprecated => Some(SpecState::Deprecated),
        proto::SpecState::Deleted => Some(SpecState::Deleted),
    })
}

fn state_of(state: SpecState) -> i32 {
    match state {
        SpecState::Draft => proto::SpecState::Draft,
        SpecState::Published => proto::SpecState::Published,
        SpecState::Deprecated => proto::SpecState::Deprecated,
        SpecState::Deleted => proto::SpecState::Deleted,
    }
    .into()
}

fn time(time: Timestamp) -> Option<prost_types::Timestamp> {
    let micros = time.as_micros();
    Some(prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    })
}

pub(super) fn spec(view: SpecView) -> proto::GetSpecResponse {
    proto::GetSpecResponse {
        id: view.id.to_string(),
        name: view.name.as_str().to_owned(),
        content: view.content.as_str().to_owned(),
        description: view.description.unwrap_or_default(),
        version: view.version,
        state: state_of(view.state),
        created_at: time(view.created_at),
        updated_at: time(view.updated_at),
        latest_version: view.latest_version,
        published_version: view.published_version,
        created_by: view.created_by,
        updated_by: view.updated_by,
        revision: view.revision,
    }
}

pub(super) fn summary(spec: SpecSummary) -> proto::SpecSummary {
    proto::SpecSummary {
        id: spec.id.to_string(),
        name: spec.name.as_str().to_owned(),
        description: spec.description.unwrap_or_default(),
        state: state_of(spec.state),
        latest_version: spec.latest_version,
        published_version: spec.published_version,
        created_at: time(spec.created_at),
        updated_at: time(spec.updated_at),
        created_by: spec.created_by,
        updated_by: spec.updated_by,
        revision: spec.revision,
    }
}

pub(super) fn event(change: &Change) -> proto::HistoryEvent {
    let record = &change.event.record;
    proto::HistoryEvent {
        event_id: record.id.to_string(),
        event_type: record.name.to_string(),
        occurred_at: time(record.recorded_at),
        user_id: change.actor(),
        payload: change.payload(),
        version: record.version.get(),
        position: record.position.get(),
        reason: change.reason().map(str::to_owned),
    }
}

pub(super) fn change(change: &Change) -> proto::SpecChange {
    proto::SpecChange {
        position: change.event.record.position.get(),
        spec_id: change.id.to_string(),
        event: Some(event(change)),
    }
}
