//! Untrusted bytes and texts: each is decoded completely, or causes an error that names its position, never a panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::event::UpcastError;
use factum::prelude::*;
use factum::store::Metadata;
use factum::store::{ContentType, RecordedEvent, Tag};
use factum::{Position, StreamId, Timestamp, Version};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "person")]
enum PersonEvent {
    #[event(version = 3, upcast = [split_name, add_country])]
    Registered {
        first: String,
        last: String,
        country: Option<String>,
        #[serde(default)]
        age: u8,
    },
    Moved(String, (i32, f64)),
    Renamed(Vec<String>),
    Left,
}

/// Splits the name, which version 1 stored in one field.
fn split_name(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("not an object")?;
    let name = fields.remove("name").ok_or("no name")?;
    let name = name.as_str().ok_or("the name is not a string")?;
    let (first, last) = name.split_once(' ').ok_or("the name is one word")?;
    fields.insert("first".to_owned(), json!(first));
    fields.insert("last".to_owned(), json!(last));
    Ok(old)
}

fn add_country(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("not an object")?;
    fields.insert("country".to_owned(), Value::Null);
    Ok(old)
}

const NAMES: [&str; 5] = [
    "person.registered",
    "person.moved",
    "person.renamed",
    "person.left",
    "person.gone",
];
const VALID: [&str; 6] = [
    r#"{"first":"Ada","last":"Lovelace","country":null,"age":36}"#,
    r#"{"name":"Ada Lovelace","age":36}"#,
    r#"["Turin",[45,7.6]]"#,
    r#"["a","\u00e9\ud83d\ude00"]"#,
    "null",
    "{}",
];

fn record(
    name: &str,
    schema_version: u32,
    content_type: ContentType,
    data: Vec<u8>,
) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(7),
        stream: StreamId::new("person", 1).unwrap(),
        version: Version::new(3),
        id: Uuid::nil(),
        name: name.to_owned().into(),
        schema_version,
        content_type,
        data: data.into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        recorded_at: Timestamp::from_micros(0),
    }
}

/// Random bytes, and valid data with a few changed, missing or additional bytes.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<proptest::sample::Index>(), any::<u8>(), 0..4_u8);
    let valid = proptest::sample::select(VALID.to_vec());
    let edits = proptest::collection::vec(edit, 0..4);
    let mutated = (valid, edits).prop_map(|(valid, edits)| {
        let mut bytes = valid.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    });
    let deep = (1..400_usize).prop_map(|depth| "[".repeat(depth).into_bytes());
    prop_oneof![4 => mutated, 2 => proptest::collection::vec(any::<u8>(), 0..60), 1 => deep]
}

fn content_type() -> impl Strategy<Value = ContentType> {
    prop_oneof![
        6 => Just(ContentType::Json),
        1 => any::<String>().prop_map(|name| ContentType::from(&*name)),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("0190b3c1-0000-7000-8000-000000000000")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{0,5}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The names of the fields of metadata.
const METADATA_FIELDS: [&str; 7] = [
    "actor",
    "reason",
    "correlation_id",
    "causation_id",
    "tenant",
    "trace_parent",
    "extra",
];

fn metadata() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select([&METADATA_FIELDS[..], &["x"]].concat());
    let fields = proptest::collection::vec((name, json_value()), 0..5);
    let fields = fields.prop_map(|fields| {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(fields.collect())
    });
    prop_oneof![4 => fields, 1 => json_value()]
}

/// Checks that a valid text is printed and serialized as itself.
fn check_round_trip<T>(
    text: &str,
    parsed: Result<T, impl std::error::Error>,
    printed: impl Fn(&T) -> String,
) where
    T: PartialEq + std::fmt::Debug + Serialize + serde::de::DeserializeOwned,
{
    let json = json!(text);
    match parsed {
        Ok(value) => {
            assert_eq!(printed(&value), text);
            assert_eq!(serde_json::to_value(&value).unwrap(), json);
            assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(serde_json::from_value::<T>(json).is_err());
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-c]{0,3}[-:]?[\u{0}-\u{20}a-c\u{85}é]{0,3}",
        ("[a-z]{60,70}", "[-:]", "[a-z]{430,460}").prop_map(|(a, b, c)| a + &b + &c),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_data_is_decoded_or_reported_with_position(
        name in proptest::sample::select(NAMES.to_vec()),
        version in prop_oneof![0..5_u32, any::<u32>()],
        content_type in content_type(),
        data in data(),
    ) {
        let record = record(name, version, content_type.clone(), data);
        match record.decode::<PersonEvent>() {
            Ok(event) => {
                prop_assert_eq!(content_type, ContentType::Json);
                let known = event.event_type();
                prop_assert_eq!(known.name, name);
                prop_assert!(version <= known.version);
                // A decoded event can be encoded and decoded again.
                let json = event.to_json().unwrap();
                let again = self::record(name, known.version, ContentType::Json, json);
                prop_assert_eq!(again.decode::<PersonEvent>().unwrap(), event);
            }
            Err(error) => {
                let location = (error.position.get(), error.version.get(), error.schema_version);
                prop_assert_eq!(location, (7, 3, version));
                prop_assert_eq!(error.stream.as_str(), "person-1");
                let message = format!(
                    "cannot decode {name} at position 7 (person-1 version 3, schema version {version})"
                );
                prop_assert_eq!(error.to_string(), message);
            }
        }
    }

    #[test]
    fn any_metadata_is_decoded_or_rejected(json in metadata()) {
        if let Ok(metadata) = serde_json::from_value::<Metadata>(json.clone()) {
            let stored = serde_json::to_value(&metadata).unwrap();
            prop_assert_eq!(&serde_json::from_value::<Metadata>(stored.clone()).unwrap(), &metadata);
            // Nothing is lost, except that a null or empty field equals a missing field.
            // A field of a newer version is ignored.
            for (name, value) in json.as_object().unwrap() {
                if !METADATA_FIELDS.contains(&name.as_str()) {
                    continue;
                }
                let kept = stored.get(name).unwrap_or(&Value::Null);
                let same_id = name.ends_with("_id") && kept.is_string();
                let is_empty = kept.is_null() && *value == Value::Object(Default::default());
                prop_assert!(kept == value || same_id || is_empty, "{}: {} became {}", name, value, kept);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_as_stream_id_or_rejected(text in text()) {
        check_round_trip(&text, text.parse::<StreamId>(), ToString::to_string);
        if let Ok(stream) = text.parse::<StreamId>() {
            let (category, key) = text.split_once('-').unwrap_or((&text, ""));
            prop_assert_eq!((stream.category(), stream.key()), (category, key));
            if let Ok(of_parts) = StreamId::new(category, key) {
                prop_assert_eq!(of_parts, stream);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_as_tag_or_rejected(text in text()) {
        check_round_trip(&text, Tag::try_from(text.clone()), ToString::to_string);
    }

    #[test]
    fn any_text_is_a_content_type(text in any::<String>()) {
        let content_type = ContentType::from(&*text);
        prop_assert_eq!(content_type.as_str(), &text);
        prop_assert_eq!(content_type == ContentType::Json, text == "application/json");
    }

    #[test]
    fn any_text_is_parsed_as_timestamp_or_rejected(
        text in prop_oneof![any::<String>(), "[-+]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{0,16}[Zz+-]?[0-9:]{0,6}"],
    ) {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }

    #[test]
    fn any_number_is_a_timestamp_that_round_trips(micros in prop_oneof![any::<i64>(), -4_000_000_000_000_000..4_000_000_000_000_000_i64]) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        prop_assert_eq!(Timestamp::from_micros(time.as_micros()), time);
    }
}
