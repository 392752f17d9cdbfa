//! The engine beside a model: whatever is asked in whatever order, both answer alike, and remember alike.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/bank.rs"]
mod bank;
#[path = "support/bank_model.rs"]
mod bank_model;

use factum::prelude::*;
use factum::{
    Conflict, ExpectedVersion, LoadError, Query, Read, Store, StreamId, Timestamp, Violation,
};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use proptest::prelude::*;

use bank::{Account, AccountEvent, Bonus, Deposit, Open, Rejection, Transfer, Withdraw};
use bank_model::{Ask, Book, Done, Model, Outcome, Step};

const ACCOUNTS: u8 = 3;

fn ask() -> impl Strategy<Value = Ask> {
    let account = || 0..ACCOUNTS;
    prop_oneof![
        2 => (account(), prop_oneof![Just(0), Just(50)]).prop_map(|(a, limit)| Ask::Open(a, limit)),
        4 => (account(), 0..35_u64).prop_map(|(a, amount)| Ask::Deposit(a, amount)),
        3 => (account(), 0..30_u64).prop_map(|(a, amount)| Ask::Withdraw(a, amount)),
        3 => (account(), account(), 0..20_u64).prop_map(|(a, b, amount)| Ask::Transfer(a, b, amount)),
        2 => (account(), account()).prop_map(|(a, b)| Ask::Bonus(a, b)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![3 => Just(None), 2 => (0..4_u8).prop_map(Some)];
    let expecting =
        prop_oneof![4 => Just(None), 2 => Just(Some(0)), 1 => (-2..3_i64).prop_map(Some)];
    let step = (ask(), key, expecting, 0..2_usize);
    let step = step.prop_map(|(ask, key, expecting, engine)| Step {
        ask,
        key,
        expecting,
        engine,
    });
    // The same request again, as after a lost answer.
    let step = (step, prop_oneof![4 => Just(1), 1 => Just(2)]);
    proptest::collection::vec(step.prop_map(|(step, times)| vec![step; times]), 1..25)
        .prop_map(|steps| steps.concat())
}

fn stream(account: u8) -> StreamId {
    StreamId::new("account", account).unwrap()
}

fn account(stream: &StreamId) -> u8 {
    stream.key().parse().unwrap()
}

async fn execute<C: Decide<Error = Rejection>>(
    engine: &Engine,
    command: C,
    step: &Step,
    expected: Option<u64>,
) -> Outcome {
    let mut execute = engine.execute(command);
    if let Some(key) = step.key {
        execute = execute.idempotency_key(key.to_string());
    }
    if let Some(expected) = expected {
        execute = execute.expected_version(expected);
    }
    match execute.await {
        Ok(receipt) => Outcome::Done(told(&receipt)),
        Err(ExecuteError::Rejected(rejection)) => Outcome::Rejected(rejection),
        Err(ExecuteError::DuplicateStream { stream }) => Outcome::DuplicateStream(account(&stream)),
        Err(ExecuteError::KeyReused { key }) => Outcome::KeyReused(key.parse().unwrap()),
        Err(ExecuteError::Conflict { conflict, .. }) => rejected(&conflict),
        Err(error) => panic!("{step:?}: {error:?}"),
    }
}

fn rejected(conflict: &Conflict) -> Outcome {
    match conflict.violations[..] {
        [
            Violation::Version {
                ref stream,
                expected: ExpectedVersion::Exact(expected),
                actual,
            },
        ] => Outcome::Conflict(account(stream), expected.get(), actual.get()),
        ref other => panic!("{other:?}"),
    }
}

fn told(receipt: &Receipt) -> Done {
    let event =
        |record: &factum::RecordedEvent| (account(&record.stream), record.decode().unwrap());
    let versions = receipt.versions().iter();
    assert_eq!(receipt.repeated(), receipt.attempts() == 0);
    Done {
        position: receipt.position().get(),
        versions: versions
            .map(|(stream, version)| (account(stream), version.get()))
            .collect(),
        events: receipt.events().iter().map(event).collect(),
        repeated: receipt.repeated(),
    }
}

fn book<const EVERY: u64>(account: &Loaded<Account<EVERY>>) -> Book {
    Book {
        version: account.version().get(),
        position: account.position().get(),
        limit: account.open.then_some(account.limit),
        balance: account.balance,
    }
}

/// What is stored, and what it was at any place and time, as the model has it.
async fn remembers<const EVERY: u64>(engine: &Engine, model: &Model) {
    let page = engine.store().read(Read::all(Query::all())).await.unwrap();
    let log = page.events.iter();
    let stored: Vec<(u8, AccountEvent)> = log
        .map(|event| (account(&event.stream), event.decode().unwrap()))
        .collect();
    assert_eq!(stored, model.log);
    let times: Vec<Timestamp> = page.events.iter().map(|event| event.recorded_at).collect();
    for account in 0..ACCOUNTS {
        let load = || engine.load::<Account<EVERY>>(&account);
        assert_eq!(book(&load().await.unwrap()), model.now(account));
        for head in 0..=model.log.len() {
            let expected = model.book(account, head);
            let there = load().at_position((head as u64).into()).await.unwrap();
            assert_eq!(
                book(&there),
                expected,
                "account {account} at position {head}"
            );
            let then = load().at_version(expected.version).await.unwrap();
            assert_eq!(
                book(&then),
                expected,
                "account {account} at version {}",
                expected.version
            );
            let Some(time) = head.checked_sub(1).map(|newest| times[newest]) else {
                continue;
            };
            let by_then = times.partition_point(|recorded_at| *recorded_at <= time);
            let then = load().at_time(time).await.unwrap();
            assert_eq!(
                book(&then),
                model.book(account, by_then),
                "account {account} at {time}"
            );
        }
        let known = model.now(account).version;
        match load().at_version(known + 1).await {
            Err(LoadError::NoSuchVersion {
                stream: of,
                requested,
                actual,
            }) => assert_eq!(
                (of, requested.get(), actual.get()),
                (stream(account), known + 1, known)
            ),
            other => panic!("version {} of account {account}: {other:?}", known + 1),
        }
        let told = engine.history::<Account<EVERY>>(&account).await.unwrap();
        let told = told.into_iter().map(|recorded| (account, recorded.event));
        let wanted = model.log.iter().filter(|(of, _)| *of == account);
        assert!(told.eq(wanted.cloned()), "the history of account {account}");
    }
}

/// Takes `steps` to two engines on one store, each of which keeps `warm` states, and to the model.
async fn agree<const EVERY: u64>(store: impl Store + Clone, warm: Option<usize>, steps: &[Step]) {
    let engine = || match warm {
        Some(entries) => Engine::builder(store.clone())
            .cache_capacity(entries)
            .build(),
        None => Engine::new(store.clone()),
    };
    let engines = [engine(), engine()];
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let (engine, expected) = (&engines[step.engine], model.expected(step));
        let done = match step.ask {
            Ask::Open(a, limit) => execute(engine, Open::<EVERY>(a, limit), step, expected).await,
            Ask::Deposit(a, n) => execute(engine, Deposit::<EVERY>(a, n), step, expected).await,
            Ask::Withdraw(a, n) => execute(engine, Withdraw::<EVERY>(a, n), step, expected).await,
            Ask::Transfer(a, b, n) => {
                execute(engine, Transfer::<EVERY>(a, b, n), step, expected).await
            }
            Ask::Bonus(a, b) => execute(engine, Bonus::<EVERY>(a, b), step, expected).await,
        };
        assert_eq!(done, model.take(step), "step {number}: {step:?}");
    }
    for engine in [&engines[0], &engines[1], &engine()] {
        remembers::<EVERY>(engine, &model).await;
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future);
}

async fn on_sqlite<const EVERY: u64>(warm: Option<usize>, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    agree::<EVERY>(store.clone(), warm, steps).await;
    store.close().await;
}

#[tokio::test]
async fn a_receipt_tells_the_version_of_the_first_stream_also_where_only_the_second_got_events() {
    let engine = Engine::new(MemoryStore::new());
    for (account, limit) in [(1, 50), (2, 0)] {
        engine.execute(Open::<0>(account, limit)).await.unwrap();
    }
    engine.execute(Deposit::<0>(2, 40)).await.unwrap();
    let told = |receipt: &Receipt| {
        let versions = receipt.versions().iter().map(|(_, version)| version.get());
        (receipt.version().get(), versions.collect::<Vec<_>>())
    };
    let bonus = || engine.execute(Bonus::<0>(1, 2)).idempotency_key("bonus");
    let first = bonus().await.unwrap();
    assert_eq!(told(&first), (1, vec![1, 6]));
    // Opened as it is: nothing needs to happen, under a key or not.
    let nothing = || engine.execute(Open::<0>(1, 50));
    assert_eq!(told(&nothing().await.unwrap()), (1, vec![1]));
    let keyed = || nothing().idempotency_key("open");
    assert_eq!(told(&keyed().await.unwrap()), (1, vec![1]));
    // Asked again once more has happened, the same is told.
    engine.execute(Deposit::<0>(1, 10)).await.unwrap();
    assert_eq!(told(&keyed().await.unwrap()), (1, vec![1]));
    assert_eq!(told(&bonus().await.unwrap()), (1, vec![1, 6]));
}

const WARM: [Option<usize>; 3] = [Some(0), Some(1), None];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_model_in_memory(steps in steps()) {
        for warm in WARM {
            block_on(agree::<0>(MemoryStore::new(), warm, &steps));
            block_on(agree::<3>(MemoryStore::new(), warm, &steps));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_model_on_sqlite(steps in steps()) {
        for warm in WARM {
            block_on(on_sqlite::<0>(warm, &steps));
            block_on(on_sqlite::<3>(warm, &steps));
        }
    }
}
