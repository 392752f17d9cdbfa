//! Encoding: an acknowledged event can be read back, and it is equal to the original.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use factum::engine::{Engine, ExecuteError};
use factum::prelude::*;
use factum::store::{
    Append, AppendError, EventStore as _, ExpectedVersion, Metadata, SnapshotStore as _,
};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use factum_testkit::given;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use serde_json::Value;

/// Content that serde writes, and that it may not read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    id: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    Wide { amount: i128 },
    Narrow { amount: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Pair(u8, u8);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OneWay {
    #[serde(rename(serialize = "new", deserialize = "old"))]
    name: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct WriteOnly {
    #[serde(skip_serializing)]
    secret: u32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Skipped {
    #[serde(skip)]
    note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
struct Uppercase(String);

impl<'de> Deserialize<'de> for Uppercase {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.to_uppercase()))
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "form")]
enum FormEvent {
    Noted { text: String },
    Measured { value: f64 },
    MaybeMeasured { value: Option<f64> },
    Listed { values: Vec<(f32, f64)> },
    Filled { body: Value },
    Flattened(Flattened),
    Tagged { content: Tagged },
    Keyed { entries: BTreeMap<Pair, u32> },
    OneWay(OneWay),
    WriteOnly(WriteOnly),
    Skipped(Skipped),
    Shouted { text: Uppercase },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "form", id = u64, event = FormEvent, snapshot(every = 5))]
struct Form {
    events: u64,
    values: Vec<f64>,
    sum: f64,
}

impl Apply<FormEvent> for Form {
    fn apply(&mut self, event: &FormEvent) {
        self.events += 1;
        if let FormEvent::Measured { value } = event {
            self.values.push(*value);
            self.sum += value;
        }
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Form)]
struct Record {
    #[id]
    form: u64,
    event: FormEvent,
}

impl Decide for Record {
    type Error = Infallible;

    fn decide(&self, _: &Form) -> Result<Events<FormEvent>, Infallible> {
        Ok(self.event.clone().into())
    }
}

/// Sets a deadline whose command is [`Record`].
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Form)]
struct RecordLater {
    #[id]
    form: u64,
    event: FormEvent,
}

impl Decide for RecordLater {
    type Error = Infallible;

    fn decide(&self, _: &Form) -> Result<Events<FormEvent>, Infallible> {
        let later = Record {
            form: self.form,
            event: self.event.clone(),
        };
        let text = "later".to_owned();
        let noted = Events::from(FormEvent::Noted { text });
        Ok(noted.deadline("record", Duration::from_hours(1), later))
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| vec![inner].into())
}

/// Returns events that are always rejected, and a part of the error.
fn never_readable() -> Vec<(FormEvent, &'static str)> {
    vec![
        (FormEvent::Measured { value: f64::NAN }, "`value` is NaN"),
        (
            FormEvent::MaybeMeasured {
                value: Some(f64::INFINITY),
            },
            "`value` is inf",
        ),
        (
            FormEvent::Listed {
                values: vec![(0.5, 1.0), (f32::NEG_INFINITY, 1.0)],
            },
            "`values[1][0]` is -inf",
        ),
        (FormEvent::Filled { body: nested(127) }, "nested too deeply"),
    ]
}

/// Returns events that only a full verification rejects, and a part of the error.
fn unreadable() -> Vec<(FormEvent, &'static str)> {
    let rest = BTreeMap::from([("id".to_owned(), Value::from("x"))]);
    let text = |text: &str| text.to_owned();
    vec![
        (
            FormEvent::Flattened(Flattened { id: 1, rest }),
            "duplicate field",
        ),
        (
            FormEvent::Tagged {
                content: Tagged::Wide { amount: i128::MAX },
            },
            "could not be read",
        ),
        (
            FormEvent::OneWay(OneWay { name: text("a") }),
            "could not be read",
        ),
        (
            FormEvent::WriteOnly(WriteOnly { secret: 7 }),
            "could not be read",
        ),
        (
            FormEvent::Skipped(Skipped { note: text("a") }),
            "changes when it is stored",
        ),
        (
            FormEvent::Shouted {
                text: Uppercase(text("a")),
            },
            "changes when it is stored",
        ),
    ]
}

async fn expect_encode_error(engine: &Engine, form: u64, event: FormEvent, reason: &str) {
    let command = Record { form, event };
    match engine.execute(command.clone()).await {
        Err(ExecuteError::Encode(error)) => {
            let source = error.source.to_string();
            assert!(error.name.starts_with("form."), "{}", error.name);
            assert!(
                source.contains(reason),
                "expected {reason:?}, got {source:?}"
            );
        }
        other => panic!("{command:?}: expected an error of the encoding, got {other:?}"),
    }
}

#[tokio::test]
async fn unreadable_event_is_rejected_and_stream_stays_readable() {
    let store = MemoryStore::new();
    let verified = Engine::builder(store.clone()).verify_encoding(true).build();
    let plain = Engine::builder(store.clone())
        .verify_encoding(false)
        .build();
    let text = "first".to_owned();
    let event = FormEvent::Noted { text };
    verified.execute(Record { form: 1, event }).await.unwrap();
    for (event, reason) in never_readable() {
        expect_encode_error(&plain, 1, event.clone(), reason).await;
        expect_encode_error(&verified, 1, event, reason).await;
    }
    for (event, reason) in unreadable() {
        expect_encode_error(&verified, 1, event, reason).await;
    }
    let entries = BTreeMap::from([(Pair(1, 2), 3)]);
    expect_encode_error(
        &plain,
        1,
        FormEvent::Keyed { entries },
        "key must be a string",
    )
    .await;
    let cold = Engine::new(store);
    assert_eq!(cold.load::<Form>(&1).await.unwrap().events, 1);
}

#[tokio::test]
async fn encoding_is_verified_by_default_in_debug_builds() {
    if !cfg!(debug_assertions) {
        println!("skipped: built without debug assertions");
        return;
    }
    let engine = Engine::new(MemoryStore::new());
    for (event, reason) in unreadable() {
        expect_encode_error(&engine, 1, event, reason).await;
    }
}

#[test]
fn scenario_fails_if_the_decision_does_not_survive_storage() {
    for (event, reason) in never_readable().into_iter().chain(unreadable()) {
        let command = Record {
            form: 1,
            event: event.clone(),
        };
        let scenario = std::panic::catch_unwind(|| given(()).when(command));
        let panic = scenario.err().expect("the scenario must fail");
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn unreadable_stored_command_is_rejected() {
    let engine = Engine::builder(MemoryStore::new())
        .verify_encoding(false)
        .build();
    for (event, _) in never_readable().into_iter().chain(unreadable()) {
        // Equality of a stored command is not checked.
        if matches!(event, FormEvent::Skipped(_) | FormEvent::Shouted { .. }) {
            continue;
        }
        let command = RecordLater { form: 1, event };
        let told = engine.execute(command.clone()).await;
        assert!(
            matches!(told, Err(ExecuteError::Deadline(_))),
            "{command:?}: {told:?}"
        );
    }
    assert_eq!(engine.load::<Form>(&1).await.unwrap().events, 0);
}

#[tokio::test]
async fn deep_json_is_rejected_by_the_store() {
    let store = MemoryStore::new();
    let encoded = |levels: usize| factum::store::NewEvent {
        id: factum::store::new_event_id(),
        name: "form.filled".into(),
        schema_version: 1,
        content_type: factum::store::ContentType::Json,
        data: nested(levels).to_string().into(),
        tags: Vec::new(),
        metadata: Metadata::default().into(),
        personal: Vec::new(),
    };
    for (levels, accepted) in [(127, true), (128, false)] {
        let stream = format!("form-{levels}").parse().unwrap();
        let append = Append::stream(stream, ExpectedVersion::Any, vec![encoded(levels)]);
        let told = store.append(append).await;
        match told {
            Ok(_) => assert!(accepted),
            Err(AppendError::Invalid(error)) => assert!(!accepted, "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the numbers of a state from the cache, from its snapshot, and from a replay.
async fn states(values: &[f64]) -> [Vec<u64>; 3] {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("a.db")).await.unwrap();
    let engine = Engine::new(store.clone());
    for value in values {
        let event = FormEvent::Measured { value: *value };
        engine.execute(Record { form: 1, event }).await.unwrap();
    }
    let bits = |form: &Form| {
        let values = form.values.iter().chain([&form.sum]);
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let warm = bits(&engine.load::<Form>(&1).await.unwrap());
    let stream = "form-1".parse().unwrap();
    while values.len() >= 5 && store.load_snapshot(&stream).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let cold = Engine::new(store.clone());
    let snapshot = bits(&cold.load::<Form>(&1).await.unwrap());
    store.clear_snapshots().await.unwrap();
    let cold = Engine::new(store.clone());
    let replay = bits(&cold.load::<Form>(&1).await.unwrap());
    store.close().await;
    [warm, snapshot, replay]
}

fn finite(bits: u64) -> f64 {
    let number = f64::from_bits(bits);
    match number.is_finite() {
        true => number,
        false => f64::from_bits(bits & !(1 << 62)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn floats_are_equal_to_the_bit_in_events_and_snapshots(
        bits in proptest::collection::vec(proptest::num::u64::ANY, 1..12),
    ) {
        let mut values: Vec<f64> = bits.into_iter().map(finite).collect();
        values.extend([-0.0, 5e-324, 2.2250738585072014e-308]);
        let expected: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        // The sum of large numbers may be infinite, which a snapshot cannot hold.
        let values: Vec<f64> = values.into_iter().map(|value| if value.abs() > 1e300 { 0.1 } else { value }).collect();
        let small: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [warm, snapshot, replay] = runtime.block_on(states(&values));
        prop_assert_eq!(&warm[..values.len()], &small[..]);
        prop_assert_eq!(&warm, &snapshot);
        prop_assert_eq!(&warm, &replay);
        // Without the sum, every finite number is exact.
        let event = FormEvent::Listed { values: expected.iter().map(|bits| (0.1, f64::from_bits(*bits))).collect() };
        let json = factum::Event::to_json(&event).unwrap();
        let FormEvent::Listed { values } = factum::Event::from_json(3, &json).unwrap() else { panic!() };
        let read: Vec<u64> = values.into_iter().map(|(_, value)| value.to_bits()).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn floats_are_equal_to_the_bit_in_metadata_and_commands(bits in proptest::num::u64::ANY, small in proptest::num::u32::ANY) {
        let number = finite(bits);
        let mut metadata = Metadata::default();
        metadata.extra.insert("n".to_owned(), number.into());
        let json = serde_json::to_string(&metadata).unwrap();
        let read: Metadata = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read.extra["n"].as_f64().unwrap().to_bits(), number.to_bits());

        let small = f32::from_bits(small);
        let small = if small.is_finite() { small } else { 0.1 };
        let command = Record { form: 1, event: FormEvent::Listed { values: vec![(small, number)] } };
        // Stored commands are JSON values inside of a document.
        let json = serde_json::to_string(&serde_json::to_value(&command).unwrap()).unwrap();
        let value: Value = serde_json::from_str(&json).unwrap();
        let read: Record = serde_json::from_value(value).unwrap();
        let FormEvent::Listed { values } = read.event else { panic!() };
        prop_assert_eq!((values[0].0.to_bits(), values[0].1.to_bits()), (small.to_bits(), number.to_bits()));
    }
}
