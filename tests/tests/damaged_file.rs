//! Damaged SQLite files: an invalid value causes an error with its position, but no panic, hang or missing event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "not every test uses everything")]
#[path = "support/bank.rs"]
mod bank;

#[path = "support/damaged.rs"]
mod support;

use std::sync::LazyLock;

use factum::Position;
use factum::engine::{LoadError, Subscription};
use factum::prelude::*;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Page, Query, Read, StoreError,
};
use factum_sqlite::SqliteStore;
use proptest::prelude::*;

use bank::{Account, AccountEvent, Deposit};
use support::{Damage, INTACT_FILE, Value, block_on, damaged, stream};

const EVENTS: u64 = 7;

/// Asserts that `error` says that one of `positions` cannot be read.
fn assert_names(error: &StoreError, positions: &[u64]) {
    let StoreError::Corrupt(text) = error else {
        panic!("expected a corrupt store: {error:?}");
    };
    let named = |position: &u64| text.starts_with(&format!("event at position {position}: "));
    assert!(
        positions.iter().any(named),
        "{text:?} does not name {positions:?}"
    );
}

async fn check_reads(store: &SqliteStore, positions: &[u64]) {
    for read in [
        Read::all(Query::all()),
        Read::all(Query::all()).backward(),
        Read::all(Query::all()).limit(EVENTS as usize),
    ] {
        match store.read(read).await {
            Ok(page) => assert_eq!(page.events.len() as u64, EVENTS, "missing events"),
            Err(error) => assert_names(&error, positions),
        }
    }
    let mut subscription = Subscription::new(
        std::sync::Arc::new(store.clone()),
        Query::all(),
        Position::ZERO,
    )
    .page_size(2);
    let mut seen = 0;
    while subscription.position().get() < EVENTS {
        match subscription.next_page().await {
            Ok(Page { events, .. }) => seen += events.len() as u64,
            Err(error) => {
                assert_names(&error, positions);
                // A page reads one event more than its size.
                let page = seen + 1..=seen + 3;
                assert!(
                    positions.iter().any(|position| page.contains(position)),
                    "{seen} events before the error"
                );
                // A retry does not move the subscription.
                assert_names(&subscription.next_page().await.unwrap_err(), positions);
                return;
            }
        }
    }
    assert_eq!(seen, EVENTS, "missing events");
}

async fn check_load(engine: &Engine, id: u8, events: u64, positions: &[u64]) {
    match engine.load::<Account<0>>(&id).await {
        Ok(account) => assert_eq!(account.version().get(), events, "missing events"),
        Err(LoadError::Store(error)) => assert_names(&error, positions),
        Err(LoadError::Decode(error)) => {
            assert!(positions.contains(&error.position.get()), "{error}");
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Returns the positions of the events that `damage` affects.
fn affected_positions(damage: &Damage) -> Vec<u64> {
    match (damage.table, damage.row) {
        ("factum_event", position) => vec![position as u64],
        ("factum_stream", 1) => vec![1, 3, 4, 5],
        ("factum_stream", 2) => vec![2, 6],
        ("factum_stream", 3) => vec![7],
        _ => vec![],
    }
}

async fn check_damaged(damage: Damage) {
    let Some((_dir, store)) = damaged(&damage).await else {
        return;
    };
    let positions = affected_positions(&damage);
    check_reads(&store, &positions).await;
    let engine = Engine::new(store.clone());
    // The store cannot detect that an event belongs to another stream, that a stream has another name, or that the
    // last event of a stream moved before its first.
    let moved = damage.column == "version" && [5, 6].contains(&damage.row);
    let undetectable = damage.table == "factum_stream" || damage.column == "stream" || moved;
    // A missing version is detected at the next event.
    let positions = if damage.column == "version" {
        (1..=EVENTS).collect()
    } else {
        positions
    };
    if !undetectable {
        check_load(&engine, 1, 4, &positions).await;
        check_load(&engine, 2, 2, &positions).await;
    }
    // These may succeed or fail, but must not panic or hang.
    let deposit = engine.execute(Deposit::<0>(1, 30)).idempotency_key("key");
    let _ = deposit.await;
    for id in ["account-1", "account-2", "raw-1"] {
        let append = Append::stream(stream(id), ExpectedVersion::Any, vec![deposited()]);
        let _ = store.append(append).await;
    }
    let reading = store.read(Read::all(Query::all())).await;
    assert!(
        !matches!(reading, Err(StoreError::Closed)),
        "the store is closed"
    );
    store.close().await;
}

fn deposited() -> NewEvent {
    NewEvent {
        id: uuid::Uuid::now_v7(),
        name: AccountEvent::TYPES[1].name.into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: r#"{"amount":1}"#.into(),
        tags: Vec::new(),
        metadata: Default::default(),
        personal: Vec::new(),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    let integer = prop_oneof![any::<i64>(), -2..9_i64, Just(i64::MIN), Just(i64::MAX)];
    let text = prop_oneof![
        any::<String>(),
        "[\\[{\"a-z0-9:,}\\]-]{0,12}",
        Just("{}".to_owned()),
        Just("[\"k\"]".to_owned()),
        Just("account-9".to_owned()),
    ];
    prop_oneof![
        Just(Value::Null),
        integer.prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        text.prop_map(Value::Text),
        bytes().prop_map(Value::Bytes),
        bytes().prop_map(|mut bytes| {
            bytes.push(0xff);
            Value::InvalidText(bytes)
        }),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let event = proptest::sample::select(vec![
        "stream",
        "version",
        "id",
        "name",
        "schema_version",
        "content_type",
        "data",
        "metadata",
        "tags",
        "recorded_at",
    ]);
    let event = (event, 1..=EVENTS as i64).prop_map(|(column, row)| ("factum_event", column, row));
    let id = (1..=3_i64).prop_map(|row| ("factum_stream", "id", row));
    let key = proptest::sample::select(vec!["fingerprint", "position", "count", "recorded_at"]);
    let key = key.prop_map(|column| ("factum_idempotency", column, 1));
    let column = prop_oneof![6 => event, 1 => id, 3 => key];
    (column, value()).prop_map(|((table, column, row), value)| Damage {
        table,
        column,
        row,
        value,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_value_is_reported_with_its_position(damage in damage()) {
        LazyLock::force(&INTACT_FILE);
        block_on(check_damaged(damage));
    }

    #[test]
    fn damaged_snapshot_is_replaced_by_a_replay(damage in snapshot_damage()) {
        LazyLock::force(&INTACT_FILE);
        block_on(check_replay(damage));
    }
}

/// Damage that makes a snapshot invalid. Another valid number in an intact snapshot cannot be detected.
fn snapshot_damage() -> impl Strategy<Value = Damage> {
    let invalid_number = value().prop_filter("a valid number", |value| match value {
        Value::Integer(number) => *number < 0,
        Value::Text(text) => text.parse::<f64>().is_err(),
        Value::Real(number) => number.fract() != 0.0,
        _ => true,
    });
    let invalid_state = value().prop_filter("a valid state", |value| match value {
        Value::Text(text) => serde_json::from_str::<Account<4>>(text).is_err(),
        _ => true,
    });
    let number = proptest::sample::select(vec!["version", "position"]);
    let damage = prop_oneof![(number, invalid_number), (Just("data"), invalid_state)];
    damage.prop_map(|(column, value)| Damage {
        table: "factum_snapshot",
        column,
        row: 1,
        value,
    })
}

async fn check_replay(damage: Damage) {
    let Some((_dir, store)) = damaged(&damage).await else {
        return;
    };
    let engine = Engine::new(store.clone());
    let account = engine.load::<Account<4>>(&1).await.unwrap();
    let loaded = (
        account.version().get(),
        account.position().get(),
        account.balance,
    );
    assert_eq!(loaded, (4, 5, 30));
    store.close().await;
}

async fn with_value(
    table: &'static str,
    column: &'static str,
    row: i64,
    value: i64,
) -> (tempfile::TempDir, SqliteStore) {
    let value = Value::Integer(value);
    damaged(&Damage {
        table,
        column,
        row,
        value,
    })
    .await
    .unwrap()
}

fn corrupt(error: impl std::error::Error) -> String {
    error
        .to_string()
        .replace("the store contains corrupt data: ", "")
}

#[test]
fn event_with_missing_stream_is_an_error() {
    LazyLock::force(&INTACT_FILE);
    block_on(async {
        let (_dir, store) = with_value("factum_event", "stream", 7, 99).await;
        let error = store.read(Read::all(Query::all())).await.unwrap_err();
        let message = corrupt(error);
        assert!(
            message.starts_with("event at position 7: invalid type: null"),
            "{message}"
        );
    });
}

#[test]
fn missing_version_is_an_error() {
    LazyLock::force(&INTACT_FILE);
    block_on(async {
        let (_dir, store) = with_value("factum_event", "version", 3, 0).await;
        let error = Engine::new(store).load::<Account<0>>(&1).await.unwrap_err();
        assert_eq!(
            corrupt(error),
            "event at position 4: version 3 of account-1 follows version 1"
        );
    });
}

#[test]
fn impossible_idempotency_result_is_an_error() {
    LazyLock::force(&INTACT_FILE);
    block_on(async {
        for count in [-1, 6, i64::MIN, i64::MAX] {
            let (_dir, store) = with_value("factum_idempotency", "count", 1, count).await;
            let engine = Engine::new(store);
            let deposit = engine.execute(Deposit::<0>(1, 30)).idempotency_key("key");
            let message = corrupt(deposit.await.unwrap_err());
            let expected = format!("idempotency key \"key\": {count} events up to position 5");
            assert_eq!(message, expected);
        }
    });
}
