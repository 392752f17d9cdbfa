//! A SQLite file that something else has written to: each value that does not belong there is an error that
//! names its place, never a panic, a wait, or an event less.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "takes what it needs")]
#[path = "support/bank.rs"]
mod bank;

#[path = "support/damaged.rs"]
mod support;

use std::sync::LazyLock;

use factum::prelude::*;
use factum::{
    Append, ContentType, EventStore as _, ExpectedVersion, LoadError, NewEvent, Page, Position,
    Query, Read, StoreError, Subscription,
};
use factum_sqlite::SqliteStore;
use proptest::prelude::*;

use bank::{Account, AccountEvent, Deposit};
use support::{Damage, SOUND, Value, block_on, damaged, stream};

const EVENTS: u64 = 7;

/// Whether `error` says that one of `places` cannot be read.
fn assert_names(error: &StoreError, places: &[u64]) {
    let StoreError::Corrupt(text) = error else {
        panic!("not said to be corrupt: {error:?}");
    };
    let named = |place: &u64| text.starts_with(&format!("event at position {place}: "));
    assert!(
        places.iter().any(named),
        "{text:?} does not name {places:?}"
    );
}

async fn check_reads(store: &SqliteStore, places: &[u64]) {
    for read in [
        Read::all(Query::all()),
        Read::all(Query::all()).backward(),
        Read::all(Query::all()).limit(EVENTS as usize),
    ] {
        match store.read(read).await {
            Ok(page) => assert_eq!(page.events.len() as u64, EVENTS, "an event less"),
            Err(error) => assert_names(&error, places),
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
                assert_names(&error, places);
                // A page looks one event ahead.
                let page = seen + 1..=seen + 3;
                assert!(
                    places.iter().any(|place| page.contains(place)),
                    "{seen} seen"
                );
                // Asked again it stands where it stood.
                assert_names(&subscription.next_page().await.unwrap_err(), places);
                return;
            }
        }
    }
    assert_eq!(seen, EVENTS, "an event less");
}

async fn check_load(engine: &Engine, id: u8, events: u64, places: &[u64]) {
    match engine.load::<Account<0>>(&id).await {
        Ok(account) => assert_eq!(account.version().get(), events, "an event less"),
        Err(LoadError::Store(error)) => assert_names(&error, places),
        Err(LoadError::Decode(error)) => assert!(places.contains(&error.position.get()), "{error}"),
        Err(error) => panic!("{error:?}"),
    }
}

/// The positions of the events that `damage` concerns.
fn places(damage: &Damage) -> Vec<u64> {
    match (damage.table, damage.row) {
        ("factum_event", position) => vec![position as u64],
        ("factum_stream", 1) => vec![1, 3, 4, 5],
        ("factum_stream", 2) => vec![2, 6],
        ("factum_stream", 3) => vec![7],
        _ => vec![],
    }
}

async fn judge(damage: Damage) {
    let Some((_dir, store)) = damaged(&damage).await else {
        return;
    };
    let places = places(&damage);
    check_reads(&store, &places).await;
    let engine = Engine::new(store.clone());
    // An event that is said to be another stream's, a stream under another name, and a last event that is put
    // ahead of the first are not known to be missed.
    let moved = damage.column == "version" && [5, 6].contains(&damage.row);
    let elsewhere = damage.table == "factum_stream" || damage.column == "stream" || moved;
    // A version that is missing is found at the one behind it.
    let places = if damage.column == "version" {
        (1..=EVENTS).collect()
    } else {
        places
    };
    if !elsewhere {
        check_load(&engine, 1, 4, &places).await;
        check_load(&engine, 2, 2, &places).await;
    }
    // Whatever becomes of these: no panic, and no wait.
    let deposit = engine.execute(Deposit::<0>(1, 30)).idempotency_key("key");
    let _ = deposit.await;
    for id in ["account-1", "account-2", "raw-1"] {
        let append = Append::stream(stream(id), ExpectedVersion::Any, vec![deposited()]);
        let _ = store.append(append).await;
    }
    let reading = store.read(Read::all(Query::all())).await;
    assert!(
        !matches!(reading, Err(StoreError::Closed)),
        "the store has ended"
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
            Value::Torn(bytes)
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
    let place = prop_oneof![6 => event, 1 => id, 3 => key];
    (place, value()).prop_map(|((table, column, row), value)| Damage {
        table,
        column,
        row,
        value,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_does_not_belong_into_the_file_is_named(damage in damage()) {
        LazyLock::force(&SOUND);
        block_on(judge(damage));
    }

    #[test]
    fn a_snapshot_that_was_damaged_is_replayed(damage in snapshot_damage()) {
        LazyLock::force(&SOUND);
        block_on(replays(damage));
    }
}

/// What cannot be taken for a snapshot: another number in one that is otherwise sound cannot be told.
fn snapshot_damage() -> impl Strategy<Value = Damage> {
    let no_place = value().prop_filter("a place", |value| match value {
        Value::Integer(place) => *place < 0,
        Value::Text(text) => text.parse::<f64>().is_err(),
        Value::Real(place) => place.fract() != 0.0,
        _ => true,
    });
    let no_state = value().prop_filter("a state", |value| match value {
        Value::Text(text) => serde_json::from_str::<Account<4>>(text).is_err(),
        _ => true,
    });
    let place = proptest::sample::select(vec!["version", "position"]);
    let damage = prop_oneof![(place, no_place), (Just("data"), no_state)];
    damage.prop_map(|(column, value)| Damage {
        table: "factum_snapshot",
        column,
        row: 1,
        value,
    })
}

async fn replays(damage: Damage) {
    let Some((_dir, store)) = damaged(&damage).await else {
        return;
    };
    let engine = Engine::new(store.clone());
    let account = engine.load::<Account<4>>(&1).await.unwrap();
    let told = (
        account.version().get(),
        account.position().get(),
        account.balance,
    );
    assert_eq!(told, (4, 5, 30));
    store.close().await;
}

async fn with(
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
        .replace("the store holds something unreadable: ", "")
}

#[test]
fn an_event_whose_stream_is_gone_is_an_error() {
    LazyLock::force(&SOUND);
    block_on(async {
        let (_dir, store) = with("factum_event", "stream", 7, 99).await;
        let error = store.read(Read::all(Query::all())).await.unwrap_err();
        let said = corrupt(error);
        assert!(
            said.starts_with("event at position 7: invalid type: null"),
            "{said}"
        );
    });
}

#[test]
fn a_version_that_is_missing_is_an_error() {
    LazyLock::force(&SOUND);
    block_on(async {
        let (_dir, store) = with("factum_event", "version", 3, 0).await;
        let error = Engine::new(store).load::<Account<0>>(&1).await.unwrap_err();
        assert_eq!(
            corrupt(error),
            "event at position 4: version 3 of account-1 follows version 1"
        );
    });
}

#[test]
fn an_answer_that_cannot_have_been_given_is_an_error() {
    LazyLock::force(&SOUND);
    block_on(async {
        for count in [-1, 6, i64::MIN, i64::MAX] {
            let (_dir, store) = with("factum_idempotency", "count", 1, count).await;
            let engine = Engine::new(store);
            let deposit = engine.execute(Deposit::<0>(1, 30)).idempotency_key("key");
            let said = corrupt(deposit.await.unwrap_err());
            let expected = format!("the answer under key \"key\": {count} events up to position 5");
            assert_eq!(said, expected);
        }
    });
}
