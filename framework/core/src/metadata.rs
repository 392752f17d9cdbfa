//! [`Metadata`]: the actor, the reason and the correlation of an event.

mod check;
mod foreign;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

pub use check::{MAX_METADATA, MAX_METADATA_NAME, MAX_REASON};

/// The actor, the reason and the correlation of an event.
///
/// All events of one append share their metadata. Its fields have limits: [`MAX_METADATA_NAME`] bytes for a name,
/// [`MAX_REASON`] bytes for the reason, and [`MAX_METADATA`] bytes for all fields together. Texts do not contain
/// control characters; the reason and the texts in `extra` may contain all except U+0000.
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
    /// The application's own entries, which are stored apart from the other fields.
    ///
    /// So an entry may have the name of a field, for example `actor`, without replacing it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
    /// The metadata that a client of another protocol has sent, byte for byte; empty if there is none.
    ///
    /// A store returns the bytes unchanged and does not interpret them. As JSON they are a text, or an object with the
    /// key `hex` if they are not UTF-8 or contain a zero byte.
    #[serde(
        skip_serializing_if = "Bytes::is_empty",
        serialize_with = "foreign::serialize"
    )]
    pub foreign: Bytes,
}

impl Metadata {
    /// Adds the fields that `other` sets. They replace fields of this metadata that are already set.
    #[must_use]
    pub fn merged_with(mut self, other: Self) -> Self {
        self.actor = other.actor.or(self.actor);
        self.reason = other.reason.or(self.reason);
        self.correlation_id = other.correlation_id.or(self.correlation_id);
        self.causation_id = other.causation_id.or(self.causation_id);
        self.tenant = other.tenant.or(self.tenant);
        self.trace_parent = other.trace_parent.or(self.trace_parent);
        self.extra.extend(other.extra);
        if !other.foreign.is_empty() {
            self.foreign = other.foreign;
        }
        self
    }

    /// Returns the metadata for a client of another protocol, which knows metadata as bytes only.
    ///
    /// These are the bytes that such a client has sent. For an event of another origin, they are the JSON of the fields
    /// that are set, or empty if there are none.
    #[must_use]
    pub fn to_foreign(&self) -> Bytes {
        if !self.foreign.is_empty() || *self == Self::default() {
            return self.foreign.clone();
        }
        // Texts, ids and a map with text keys always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
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
    Extra,
    Foreign,
    /// The key of a field that a newer version of this crate writes.
    #[serde(other)]
    Newer,
}

// Written by hand because a derived implementation also accepts a sequence.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = Metadata::default();
        let (mut extra, mut foreign) = (None, None::<foreign::DecodedBytes>);
        while let Some(key) = map.next_key()? {
            match key {
                MetadataKey::Actor => once("actor", &mut metadata.actor, &mut map)?,
                MetadataKey::Reason => once("reason", &mut metadata.reason, &mut map)?,
                MetadataKey::CorrelationId => {
                    once("correlation_id", &mut metadata.correlation_id, &mut map)?;
                }
                MetadataKey::CausationId => {
                    once("causation_id", &mut metadata.causation_id, &mut map)?;
                }
                MetadataKey::Tenant => once("tenant", &mut metadata.tenant, &mut map)?,
                MetadataKey::TraceParent => {
                    once("trace_parent", &mut metadata.trace_parent, &mut map)?;
                }
                MetadataKey::Extra => once("extra", &mut extra, &mut map)?,
                MetadataKey::Foreign => once("foreign", &mut foreign, &mut map)?,
                MetadataKey::Newer => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        metadata.extra = extra.unwrap_or_default();
        metadata.foreign = foreign.map(|decoded| decoded.0).unwrap_or_default();
        Ok(metadata)
    }
}

/// Decodes the next value into `slot`, which must be empty.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &'static str,
    slot: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    match slot {
        Some(_) => Err(A::Error::duplicate_field(field)),
        None => {
            *slot = map.next_value()?;
            Ok(())
        }
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
            foreign: Bytes::new(),
        };
        let extra = serde_json::json!({ "a \"b\"": [1, null, { "c": "d" }] });
        metadata.extra = serde_json::from_value(extra).expect("a map");
        let with_foreign = |foreign: &[u8]| Metadata {
            foreign: Bytes::copy_from_slice(foreign),
            ..metadata.clone()
        };
        let all_bytes: Vec<u8> = (0..=255).collect();
        for metadata in [
            with_foreign(br#" {"b":1.0, "a":"\u0000"}"#),
            with_foreign(b"null"),
            with_foreign("\u{e9}\u{1F980}\r\n\u{1}".as_bytes()),
            with_foreign(b"\0"),
            with_foreign(&all_bytes),
            metadata.clone(),
            Metadata::default(),
        ] {
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
            r#"{"extra":[]}"#,
            r#"{"actor":"a","actor":"b"}"#,
            r#"{"extra":{},"extra":{}}"#,
            r#"{"foreign":"a","foreign":"a"}"#,
            r#"{"foreign":[1]}"#,
            r#"{"foreign":{"hex":"0"}}"#,
            r#"{"foreign":{"hex":"+1"}}"#,
            r#"{"foreign":{"hex":"\u00e9"}}"#,
            "{",
        ] {
            assert!(serde_json::from_str::<Metadata>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn entry_with_the_name_of_a_field_does_not_replace_it() {
        let names = [
            "actor",
            "reason",
            "correlation_id",
            "causation_id",
            "tenant",
            "trace_parent",
            "extra",
            "foreign",
        ];
        let mut metadata = Metadata {
            actor: Some("mallory".to_owned()),
            ..Metadata::default()
        };
        for name in names {
            metadata
                .extra
                .insert(name.to_owned(), serde_json::json!(["alice"]));
        }
        let json = serde_json::to_string(&metadata).expect("metadata serializes");
        let decoded: Metadata = serde_json::from_str(&json).expect("metadata deserializes");
        assert_eq!(decoded, metadata);
    }

    #[test]
    fn foreign_metadata_is_readable_as_json() {
        let json = |foreign: &'static [u8]| {
            let foreign = Bytes::from_static(foreign);
            let metadata = Metadata {
                foreign,
                ..Metadata::default()
            };
            serde_json::to_string(&metadata).expect("metadata serializes")
        };
        assert_eq!(json(br#"{"a":1}"#), r#"{"foreign":"{\"a\":1}"}"#);
        assert_eq!(json(b"\xff\x00"), r#"{"foreign":{"hex":"ff00"}}"#);
    }

    #[test]
    fn foreign_clients_get_their_bytes_or_the_fields_as_json() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.to_foreign(), "");
        metadata.actor = Some("alice".to_owned());
        assert_eq!(metadata.to_foreign(), r#"{"actor":"alice"}"#);
        metadata.foreign = Bytes::from_static(b"\xff");
        assert_eq!(metadata.to_foreign(), &b"\xff"[..]);
    }

    #[test]
    fn field_of_a_newer_version_is_ignored() {
        let json = r#"{"actor":"alice","shard":{"n":[1]}}"#;
        let decoded: Metadata = serde_json::from_str(json).expect("metadata deserializes");
        assert_eq!(decoded.actor.as_deref(), Some("alice"));
        assert!(decoded.extra.is_empty());
    }
}
