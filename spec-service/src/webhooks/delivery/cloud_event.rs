//! The deliveries: events as CloudEvents 1.0 in structured JSON.
//!
//! See <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>.

use factum::store::RecordedEvent;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::specs::domain::QualifiedName;

/// The media type of a CloudEvent in structured JSON.
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    /// An extension: the order among the events of all specifications.
    ///
    /// It is a text, because the integers of CloudEvents have 32 bits.
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    spec_id: &'a str,
    namespace: &'a str,
    name: &'a str,
    revision: u64,
    position: u64,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    payload: &'a RawValue,
}

/// Returns the body of the delivery of `event`.
///
/// # Errors
/// Returns an error if the data of the event is not JSON.
pub fn cloud_event(
    event: &RecordedEvent,
    subject: &QualifiedName,
) -> Result<Vec<u8>, serde_json::Error> {
    let metadata = &event.metadata;
    let payload: &RawValue = serde_json::from_slice(&event.data)?;
    serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: event.id.to_string(),
        source: format!("urn:spec-service:{}:{}", subject.tenant, subject.namespace),
        r#type: &event.name,
        subject: event.stream.key(),
        time: event.recorded_at.to_string(),
        datacontenttype: "application/json",
        sequence: event.position.get().to_string(),
        traceparent: metadata.trace_parent.as_deref(),
        data: Data {
            spec_id: event.stream.key(),
            namespace: subject.namespace.as_str(),
            name: subject.name.as_str(),
            revision: event.version.get(),
            position: event.position.get(),
            actor: metadata.actor.as_deref().unwrap_or_default(),
            reason: metadata.reason.as_deref(),
            payload,
        },
    })
}
