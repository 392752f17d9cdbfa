//! The content that an idempotency key compares, and the keys that only the framework uses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    missing_docs,
    reason = "the types are public for the modules of this test only"
)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;

use factum::engine::Clock as _;
use factum::event::UpcastError;
use factum::prelude::*;
use factum::process::{Correlation, Deadline, React, Reactions, Rejection, Respond};
use factum::runtime::Schedule;
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use serde_json::{Value, json};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub enum OrderEvent {
    Placed,
    Delivered,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u64, event = OrderEvent)]
pub struct Order {
    is_delivered: bool,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, event: &OrderEvent) {
        self.is_delivered |= *event == OrderEvent::Delivered;
    }
}

macro_rules! places_order {
    ($($command:ty),+ $(,)?) => {
        $(impl Decide for $command {
            type Error = Infallible;
            fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
                Ok(OrderEvent::Placed.into())
            }
        })+
    };
}

fn one() -> u32 {
    1
}

/// The command in the first version of a program.
mod first {
    use super::*;

    #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[command(on = Order, name = "place")]
    pub struct Place {
        #[id]
        pub order: u64,
        pub lines: Vec<Line>,
        pub labels: HashMap<String, HashSet<u32>>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Line {
        pub article: String,
        pub tags: HashSet<String>,
    }
}

/// The command after fields with defaults were added, and others have moved.
mod added {
    use super::*;

    #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[command(on = Order, name = "place")]
    pub struct Place {
        pub labels: HashMap<String, BTreeSet<u32>>,
        pub note: Option<String>,
        pub lines: Vec<Line>,
        #[serde(default)]
        pub gift: bool,
        #[serde(default = "one", rename = "parcelCount")]
        pub parcels: u32,
        #[id]
        pub order: u64,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Line {
        #[serde(default)]
        pub color: Option<String>,
        pub tags: HashSet<String>,
        pub article: String,
    }
}

/// The command with a default for all fields.
mod with_default {
    use super::*;

    #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[command(on = Order, name = "place")]
    #[serde(default)]
    pub struct Place {
        #[id]
        pub order: u64,
        pub lines: Vec<first::Line>,
        pub labels: HashMap<String, HashSet<u32>>,
        pub parcels: u32,
    }

    impl Default for Place {
        fn default() -> Self {
            Self {
                order: 0,
                lines: Vec::new(),
                labels: HashMap::new(),
                parcels: 1,
            }
        }
    }
}

/// The command in the second schema version.
mod second {
    use super::*;

    #[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[command(on = Order, name = "place", version = 2, upcast = v1_to_v2)]
    pub struct Place {
        #[id]
        pub order: u64,
        pub articles: Vec<String>,
    }

    pub fn v1_to_v2(mut old: Value) -> Result<Value, UpcastError> {
        let lines = old["lines"].as_array().ok_or("no lines")?.iter();
        let articles: Vec<_> = lines.map(|line| line["article"].clone()).collect();
        old["articles"] = articles.into();
        Ok(old)
    }
}

places_order!(
    first::Place,
    added::Place,
    with_default::Place,
    second::Place,
    Retry,
    Tuple,
);

fn request() -> Value {
    json!({
        "order": 1,
        "lines": [
            { "article": "pears", "tags": ["ripe", "soft", "green", "cheap", "new"] },
            { "article": "plums", "tags": [] },
        ],
        "labels": { "a": [1, 2, 3, 4, 5], "b": [6, 7, 8], "c": [], "d": [1], "e": [] },
    })
}

fn parse<C: serde::de::DeserializeOwned>(request: Value) -> C {
    serde_json::from_value(request).unwrap()
}

async fn engine_after_first_request() -> Engine {
    let engine = Engine::new(MemoryStore::new());
    let command: first::Place = parse(request());
    engine.execute(command).idempotency_key("k").await.unwrap();
    engine
}

async fn is_repeated<C: Decide>(engine: &Engine, command: C) -> bool {
    match engine.execute(command).idempotency_key("k").await {
        Ok(receipt) => receipt.repeated(),
        Err(ExecuteError::KeyReused { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn maps_and_sets_have_no_order_in_a_command() {
    let engine = engine_after_first_request().await;
    for _ in 0..50 {
        assert!(is_repeated::<first::Place>(&engine, parse(request())).await);
    }
    let mut reversed = request();
    reversed["lines"].as_array_mut().unwrap().reverse();
    assert!(!is_repeated::<first::Place>(&engine, parse(reversed)).await);
    let mut other = request();
    other["labels"]["a"] = json!([1, 2, 3, 4]);
    assert!(!is_repeated::<first::Place>(&engine, parse(other)).await);
}

#[tokio::test]
async fn added_field_with_default_keeps_the_command() {
    let engine = engine_after_first_request().await;
    assert!(is_repeated::<added::Place>(&engine, parse(request())).await);
    assert!(is_repeated::<with_default::Place>(&engine, parse(request())).await);
    for (field, value) in [
        ("note", json!("")),
        ("gift", json!(true)),
        ("parcelCount", json!(0)),
        ("order", json!(2)),
    ] {
        let mut other = request();
        other[field] = value;
        assert!(
            !is_repeated::<added::Place>(&engine, parse(other)).await,
            "{field}"
        );
    }
    let mut other = request();
    other["parcels"] = json!(0);
    assert!(!is_repeated::<with_default::Place>(&engine, parse(other)).await);
}

#[tokio::test]
async fn command_of_another_schema_version_is_the_same() {
    let engine = engine_after_first_request().await;
    let upcast = second::v1_to_v2(request()).unwrap();
    assert!(is_repeated::<second::Place>(&engine, parse(upcast.clone())).await);

    let updated = Engine::new(MemoryStore::new());
    let command: second::Place = parse(upcast);
    let again = second::Place {
        articles: Vec::new(),
        ..command.clone()
    };
    updated.execute(command).idempotency_key("k").await.unwrap();
    assert!(!is_repeated(&updated, again).await, "same schema version");
    assert!(
        is_repeated::<first::Place>(&updated, parse(request())).await,
        "old node"
    );
}

#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Order)]
struct Retry {
    #[id]
    order: u64,
    #[serde(skip)]
    _connection: u8,
    #[fingerprint(skip)]
    due: u64,
    note: &'static str,
}

#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Order)]
struct Tuple(#[id] u64, #[fingerprint(skip)] u64, u64);

#[tokio::test]
async fn skipped_field_is_not_compared() {
    let engine = Engine::new(MemoryStore::new());
    let retry = |due, note| Retry {
        order: 1,
        _connection: 0,
        due,
        note,
    };
    let first = engine.execute(retry(1, "a")).idempotency_key("k");
    first.await.unwrap();
    assert!(is_repeated(&engine, retry(2, "a")).await);
    assert!(!is_repeated(&engine, retry(1, "b")).await);

    let engine = Engine::new(MemoryStore::new());
    let first = engine.execute(Tuple(1, 2, 3)).idempotency_key("k");
    first.await.unwrap();
    assert!(is_repeated(&engine, Tuple(1, 9, 3)).await);
    assert!(!is_repeated(&engine, Tuple(1, 2, 9)).await);
}

/// Delivers an order. Process managers, deadlines and schedules send it.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Deliver {
    #[id]
    order: u64,
}

impl Decide for Deliver {
    type Error = Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Infallible> {
        Ok(OrderEvent::Delivered.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Place {
    #[id]
    order: u64,
}

places_order!(Place);

#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(name = "delivery", id = u64, events = OrderEvent, commands = Deliver)]
struct Delivery;

impl Apply<OrderEvent> for Delivery {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl React<OrderEvent> for Delivery {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<u64> {
        match event.event {
            OrderEvent::Placed => Correlation::Starts(event.record.stream.key().parse().unwrap()),
            OrderEvent::Delivered => Correlation::Ignored,
        }
    }

    fn react(&self, _: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        let order = then.instance().parse().unwrap();
        then.send(Deliver { order });
    }
}

impl Respond for Delivery {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

/// The keys that a caller could guess, in the namespace of callers and in that of the framework.
async fn use_keys(engine: &Engine, key: &str) {
    let place = || engine.execute(Place { order: 666 });
    place().idempotency_key(key).await.unwrap();
    let reserved = format!("factum/{key}");
    let error = place().idempotency_key(&reserved).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("reserved idempotency key: {reserved:?}; a key must not begin with \"factum/\"")
    );
}

#[tokio::test]
async fn key_of_a_caller_does_not_suppress_a_schedule() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new())
        .clock(clock.clone())
        .build();
    let schedule = Schedule::cron("nightly", "0 3 * * *", |_| Deliver { order: 1 }).unwrap();
    let due = schedule.next(clock.now()).unwrap();
    let runtime = Runtime::builder(&engine)
        .schedule(schedule)
        .start()
        .await
        .unwrap();
    runtime.wait_until_idle().await.unwrap();
    use_keys(&engine, &format!("schedule/nightly/{due}")).await;
    clock.advance(due.since(clock.now()) + Duration::from_secs(60));
    runtime.wait_until_idle().await.unwrap();
    runtime.stop().await;
    assert!(engine.load::<Order>(&1).await.unwrap().is_delivered);
}

#[tokio::test]
async fn key_of_a_caller_does_not_suppress_a_process_command() {
    let engine = Engine::new(MemoryStore::new());
    for position in 1..9 {
        use_keys(&engine, &format!("process/delivery/7/{position}/0")).await;
    }
    let runtime = Runtime::builder(&engine)
        .process::<Delivery>(StartFrom::End)
        .start()
        .await
        .unwrap();
    let placed = engine.execute(Place { order: 7 }).await.unwrap();
    let key = format!("process/delivery/7/{}/0", placed.position());
    use_keys(&engine, &key).await;
    runtime.wait_until_idle().await.unwrap();
    runtime.stop().await;
    assert!(engine.load::<Order>(&7).await.unwrap().is_delivered);
}

/// A command with numbers that JSON cannot represent.
#[derive(Command, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub struct Weigh {
    #[id]
    order: u64,
    lines: Vec<Weight>,
    #[fingerprint(skip)]
    estimate: f64,
    by_scale: HashMap<(u32, char), Option<f64>>,
    serial: u128,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    grams: f64,
}

places_order!(Weigh);

fn weigh(grams: f64) -> Weigh {
    Weigh {
        order: 1,
        lines: vec![Weight { grams: 1.0 }, Weight { grams }],
        ..Weigh::default()
    }
}

#[tokio::test]
async fn key_rejects_numbers_that_are_not_finite() {
    let engine = Engine::new(MemoryStore::new());
    for grams in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = engine.execute(weigh(grams)).idempotency_key("k").await;
        let ExecuteError::Encode(error) = error.unwrap_err() else {
            panic!("the number {grams} has another error")
        };
        let expected = format!(
            "`lines[1].grams` is {grams}, which JSON cannot represent; use an `Option` or an enum"
        );
        assert_eq!((error.name, error.source.to_string()), ("Weigh", expected));
    }
    // Without a key, and in a field that is not compared, the number is not stored.
    engine.execute(weigh(f64::NAN)).await.unwrap();
    let mut estimated = weigh(1.0);
    estimated.estimate = f64::NAN;
    engine
        .execute(estimated)
        .idempotency_key("e")
        .await
        .unwrap();
}

#[tokio::test]
async fn key_distinguishes_values_that_look_alike() {
    let engine = Engine::new(MemoryStore::new());
    let with_key = |key: (u32, char), value| Weigh {
        by_scale: HashMap::from([(key, value)]),
        ..weigh(1.0)
    };
    let with_serial = |serial| Weigh {
        serial,
        ..weigh(1.0)
    };
    let commands = [
        weigh(0.0),
        weigh(-0.0),
        weigh(0.1),
        weigh(0.1_f64.next_up()),
        weigh(5e-324),
        with_key((1, '2'), None),
        with_key((12, ' '), None),
        with_key((1, '2'), Some(0.0)),
        with_serial(u128::MAX),
        with_serial(u128::MAX - 1),
        with_serial(u64::MAX.into()),
    ];
    for (index, command) in commands.iter().enumerate() {
        let key = format!("k{index}");
        let first = engine.execute(command.clone()).idempotency_key(&key);
        first.await.unwrap();
        for (other, command) in commands.iter().enumerate() {
            let again = engine.execute(command.clone()).idempotency_key(&key).await;
            assert_eq!(again.is_ok(), other == index, "{index} and {other}");
        }
    }
}
