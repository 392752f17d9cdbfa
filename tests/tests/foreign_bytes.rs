//! What comes from outside, as bytes or text: each either is taken whole, or is an error that names its place;
//! nothing makes a reader panic.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::prelude::*;
use factum::{
    ContentType, Metadata, Position, RecordedEvent, StreamId, Tag, Timestamp, UpcastError, Version,
};
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

/// Version 1 had the name in one field.
fn split_name(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("no object")?;
    let name = fields.remove("name").ok_or("no name")?;
    let name = name.as_str().ok_or("the name is no text")?;
    let (first, last) = name.split_once(' ').ok_or("one word")?;
    fields.insert("first".to_owned(), json!(first));
    fields.insert("last".to_owned(), json!(last));
    Ok(old)
}

fn add_country(mut old: Value) -> Result<Value, UpcastError> {
    let fields = old.as_object_mut().ok_or("no object")?;
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
const SOUND: [&str; 6] = [
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

/// Bytes of any kind, and sound data in which a few bytes are others, are missing, or are there twice.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let slip = (any::<proptest::sample::Index>(), any::<u8>(), 0..4_u8);
    let sound = proptest::sample::select(SOUND.to_vec());
    let slips = proptest::collection::vec(slip, 0..4);
    let mutated = (sound, slips).prop_map(|(sound, slips)| {
        let mut bytes = sound.as_bytes().to_vec();
        for (at, byte, what) in slips {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match what {
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

fn metadata() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(vec![
        "actor",
        "reason",
        "correlation_id",
        "causation_id",
        "tenant",
        "trace_parent",
        "extra",
        "x",
    ]);
    let fields = proptest::collection::vec((name, json_value()), 0..5);
    let fields = fields.prop_map(|fields| {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(fields.collect())
    });
    prop_oneof![4 => fields, 1 => json_value()]
}

/// A text that is parsed prints as itself, and so does what it is stored as.
fn round_trip<T>(
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
    fn any_data_of_an_event_is_read_whole_or_named(
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
                // What was read is written so that it is read again.
                let json = event.to_json().unwrap();
                let again = self::record(name, known.version, ContentType::Json, json);
                prop_assert_eq!(again.decode::<PersonEvent>().unwrap(), event);
            }
            Err(error) => {
                let place = (error.position.get(), error.version.get(), error.schema_version);
                prop_assert_eq!(place, (7, 3, version));
                prop_assert_eq!(error.stream.as_str(), "person-1");
                let said = error.to_string();
                prop_assert!(said.contains("at position 7, person-1 version 3"), "{}", said);
                prop_assert!(said.starts_with(name), "{}", said);
            }
        }
    }

    #[test]
    fn any_metadata_is_read_whole_or_rejected(json in metadata()) {
        if let Ok(metadata) = serde_json::from_value::<Metadata>(json.clone()) {
            let stored = serde_json::to_value(&metadata).unwrap();
            prop_assert_eq!(&serde_json::from_value::<Metadata>(stored.clone()).unwrap(), &metadata);
            // Nothing is lost, but that a field without a value is as one that is not there.
            for (name, value) in json.as_object().unwrap() {
                let kept = stored.get(name).unwrap_or(&Value::Null);
                let same_id = name.ends_with("_id") && kept.is_string();
                prop_assert!(kept == value || same_id, "{}: {} became {}", name, value, kept);
            }
        }
    }

    #[test]
    fn any_text_is_a_stream_id_or_none(text in text()) {
        round_trip(&text, text.parse::<StreamId>(), ToString::to_string);
        if let Ok(stream) = text.parse::<StreamId>() {
            prop_assert_eq!(StreamId::new(stream.category(), stream.key()).unwrap(), stream);
        }
    }

    #[test]
    fn any_text_is_a_tag_or_none(text in text()) {
        round_trip(&text, Tag::try_from(text.clone()), ToString::to_string);
    }

    #[test]
    fn any_text_is_a_content_type(text in any::<String>()) {
        let content_type = ContentType::from(&*text);
        prop_assert_eq!(content_type.as_str(), &text);
        prop_assert_eq!(content_type == ContentType::Json, text == "application/json");
    }

    #[test]
    fn any_text_is_a_time_or_none(
        text in prop_oneof![any::<String>(), "[-+]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{0,16}[Zz+-]?[0-9:]{0,6}"],
    ) {
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }

    #[test]
    fn any_number_is_a_time_that_prints_and_parses(micros in prop_oneof![any::<i64>(), -4_000_000_000_000_000..4_000_000_000_000_000_i64]) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        prop_assert_eq!(Timestamp::from_micros(time.as_micros()), time);
    }
}
