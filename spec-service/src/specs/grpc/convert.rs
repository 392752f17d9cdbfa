//! Conversions between messages and specifications.

use tonic::Status;

use crate::access::domain::NamespaceId;
use crate::grpc::fields::timestamp;
use crate::grpc::generated as proto;
use crate::grpc::status;
use crate::specs::app::{Change, SpecSummary, SpecView};
use crate::specs::domain::{SpecId, SpecState};

/// Converts the id of a specification.
pub fn id(text: &str) -> Result<SpecId, Status> {
    let id = text
        .parse()
        .map_err(|_| status::malformed("id", "expected a UUID"))?;
    Ok(SpecId(id))
}

/// Converts the namespace filter of a list. Empty means all namespaces.
pub fn namespace_filter(text: &str) -> Result<Option<NamespaceId>, Status> {
    match text {
        "" => Ok(None),
        text => {
            let invalid = |_| status::malformed("namespace", "not a namespace");
            text.parse().map(Some).map_err(invalid)
        }
    }
}

/// Converts the state filter of a list. Unspecified means any state except deleted.
pub fn state_filter(number: Option<i32>) -> Result<Option<SpecState>, Status> {
    let Some(number) = number else {
        return Ok(None);
    };
    let unknown = |_| status::malformed("state", "unknown state");
    Ok(match proto::SpecState::try_from(number).map_err(unknown)? {
        proto::SpecState::Unspecified => None,
        proto::SpecState::Draft => Some(SpecState::Draft),
        proto::SpecState::Published => Some(SpecState::Published),
        proto::SpecState::Deprecated => Some(SpecState::Deprecated),
        proto::SpecState::Deleted => Some(SpecState::Deleted),
    })
}

/// Converts a state.
pub fn state(state: SpecState) -> i32 {
    match state {
        SpecState::Draft => proto::SpecState::Draft,
        SpecState::Published => proto::SpecState::Published,
        SpecState::Deprecated => proto::SpecState::Deprecated,
        SpecState::Deleted => proto::SpecState::Deleted,
    }
    .into()
}

pub fn spec(view: SpecView) -> proto::GetSpecResponse {
    proto::GetSpecResponse {
        id: view.id.to_string(),
        namespace: view.namespace.to_string(),
        name: view.name.as_str().to_owned(),
        content: view.content.as_str().to_owned(),
        description: view.description.unwrap_or_default(),
        version: view.version,
        state: state(view.state),
        created_at: timestamp(view.created_at),
        updated_at: timestamp(view.updated_at),
        latest_version: view.latest_version,
        published_version: view.published_version,
        created_by: view.created_by,
        updated_by: view.updated_by,
        revision: view.revision,
    }
}

pub fn summary(spec: SpecSummary) -> proto::SpecSummary {
    proto::SpecSummary {
        id: spec.id.to_string(),
        namespace: spec.namespace.to_string(),
        name: spec.name.as_str().to_owned(),
        description: spec.description.unwrap_or_default(),
        state: state(spec.state),
        latest_version: spec.latest_version,
        published_version: spec.published_version,
        created_at: timestamp(spec.created_at),
        updated_at: timestamp(spec.updated_at),
        created_by: spec.created_by,
        updated_by: spec.updated_by,
        revision: spec.revision,
    }
}

pub fn event(change: &Change) -> proto::HistoryEvent {
    let record = &change.event.record;
    proto::HistoryEvent {
        event_id: record.id.to_string(),
        event_type: record.name.to_string(),
        occurred_at: timestamp(record.recorded_at),
        actor: change.actor(),
        payload: change.payload(),
        version: record.version.get(),
        position: record.position.get(),
        reason: change.reason().map(str::to_owned),
    }
}

pub fn change(change: &Change) -> proto::SpecChange {
    proto::SpecChange {
        position: change.event.record.position.get(),
        spec_id: change.id.to_string(),
        event: Some(event(change)),
    }
}
