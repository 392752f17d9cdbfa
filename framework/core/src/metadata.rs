//! What rides along with every event: who, why, and in what connection.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use uuid::Uuid;

use crate::record::RecordedEvent;

/// Who caused an event, why, and in what connection. All events of one append share it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// Who gave the command: a user, a service, a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, in the actor's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Shared by everything that follows from one request. The engine makes one where the caller gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The event or message that led to this one; nothing: it began here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Whose data this is, in an application that serves several customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The W3C trace context (`traceparent`) of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Metadata {
    /// The same, in the connection of `event`, which is the cause: its correlation id, or its own id if it has none;
    /// and its tenant and its trace context, unless there are others already.
    #[must_use]
    pub fn caused_by(mut self, event: &RecordedEvent) -> Self {
        let cause = &event.metadata;
        self.correlation_id = Some(cause.correlation_id.unwrap_or(event.id));
        self.causation_id = Some(event.id);
        self.tenant = self.tenant.or_else(|| cause.tenant.clone());
        self.trace_parent = self.trace_parent.or_else(|| cause.trace_parent.clone());
        self
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Actor,
    Reason,
    CorrelationId,
    CausationId,
    Tenant,
    TraceParent,
    Extra(String),
}

/// By hand, since a derived one with a flattened map collects every value before it looks at one, and metadata are read
/// with every event.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metadata, a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut metadata = Metadata::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Actor => metadata.actor = map.next_value()?,
                        Key::Reason => metadata.reason = map.next_value()?,
                        Key::CorrelationId => metadata.correlation_id = map.next_value()?,
                        Key::CausationId => metadata.causation_id = map.next_value()?,
                        Key::Tenant => metadata.tenant = map.next_value()?,
                        Key::TraceParent => metadata.trace_parent = map.next_value()?,
                        Key::Extra(key) => {
                            metadata.extra.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(metadata)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let id = Uuid::from_u128(7);
        let mut metadata = Metadata {
            actor: Some("alice".to_owned()),
            reason: Some("because".to_owned()),
            correlation_id: Some(id),
            causation_id: Some(id),
            tenant: Some("north".to_owned()),
            trace_parent: Some("00-1-2-01".to_owned()),
            extra: BTreeMap::new(),
        };
        let extra = serde_json::json!({ "a \"b\"": [1, null, { "c": "d" }] });
        metadata.extra = serde_json::from_value(extra).expect("a map");
        for metadata in [metadata, Metadata::default()] {
            let json = serde_json::to_string(&metadata).expect("metadata are written");
            let read: Metadata = serde_json::from_str(&json).expect("metadata are read");
            assert_eq!(read, metadata);
        }
    }

    #[test]
    fn what_is_no_metadata_is_rejected() {
        for json in [
            "[]",
            "1",
            r#"{"actor":1}"#,
            r#"{"correlation_id":"x"}"#,
            "{",
        ] {
            assert!(serde_json::from_str::<Metadata>(json).is_err(), "{json}");
        }
    }
}
