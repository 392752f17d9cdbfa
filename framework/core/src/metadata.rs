//! [`Metadata`]: the actor, the reason and the correlation of an event.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use uuid::Uuid;

/// The actor, the reason and the correlation of an event.
///
/// All events of one append share their metadata.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The sender of the command: a user, a service or a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The reason, in the actor's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The id shared by everything that follows from one request.
    ///
    /// The engine creates one if the caller sets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
    /// The id of the event or message that caused this one; `None` if it is the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The tenant, in an application that serves several isolated customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The W3C trace context (`traceparent`) of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// The application's own entries.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum MetadataKey {
    Actor,
    Reason,
    CorrelationId,
    CausationId,
    Tenant,
    TraceParent,
    Extra(String),
}

// Written by hand because metadata is decoded with every event: a derived implementation with a flattened map buffers
// every value before it decodes one.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;

        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of metadata")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut metadata = Metadata::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        MetadataKey::Actor => metadata.actor = map.next_value()?,
                        MetadataKey::Reason => metadata.reason = map.next_value()?,
                        MetadataKey::CorrelationId => metadata.correlation_id = map.next_value()?,
                        MetadataKey::CausationId => metadata.causation_id = map.next_value()?,
                        MetadataKey::Tenant => metadata.tenant = map.next_value()?,
                        MetadataKey::TraceParent => metadata.trace_parent = map.next_value()?,
                        MetadataKey::Extra(key) => {
                            metadata.extra.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(metadata)
            }
        }

        deserializer.deserialize_map(MetadataVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_serialization() {
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
            let json = serde_json::to_string(&metadata).expect("metadata serializes");
            let decoded: Metadata = serde_json::from_str(&json).expect("metadata deserializes");
            assert_eq!(decoded, metadata);
        }
    }

    #[test]
    fn invalid_metadata_is_rejected() {
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
