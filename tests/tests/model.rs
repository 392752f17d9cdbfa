//! Compares the engine with a reference model: both return the same results for random sequences of commands.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/bank.rs"]
mod bank;
#[path = "support/bank_model.rs"]
mod bank_model;

use factum::engine::LoadError;
use factum::prelude::*;
use factum::store::{Conflict, ExpectedVersion, Query, Read, Store, Violation};
use factum::{StreamId, Timestamp};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use proptest::prelude::*;

use bank::{Account, AccountEvent, Bonus, Deposit, Open, Rejection, Transfer, Withdraw};
use bank_model::{AccountState, Done, Model, Outcome, Request, Step};

const ACCOUNTS: u8 = 3;

fn request() -> impl Strategy<Value = Request> {
    let account = || 0..ACCOUNTS;
    prop_oneof![
        2 => (account(), prop_oneof![Just(0), Just(50)]).prop_map(|(a, limit)| Request::Open(a, limit)),
        4 => (account(), 0..35_u64).prop_map(|(a, amount)| Request::Deposit(a, amount)),
        3 => (account(), 0..30_u64).prop_map(|(a, amount)| Request::Withdraw(a, amount)),
        3 => (account(), account(), 0..20_u64).prop_map(|(a, b, amount)| Request::Transfer(a, b, amount)),
        2 => (account(), account()).prop_map(|(a, b)| Request::Bonus(a, b)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![3 => Just(None), 2 => (0..4_u8).prop_map(Some)];
    let version_offset =
        prop_oneof![4 => Just(None), 2 => Just(Some(0)), 1 => (-2..3_i64).prop_map(Some)];
    let step = (request(), key, version_offset, 0..2_usize);
    let step = step.prop_map(|(request, key, version_offset, engine)| Step {
        request,
        key,
        version_offset,
        engine,
    });
    // A step may be repeated, as after a lost response.
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
        Ok(receipt) => Outcome::Done(done(&receipt)),
        Err(ExecuteError::Rejected(rejection)) => Outcome::Rejected(rejection),
        Err(ExecuteError::DuplicateStream { stream }) => Outcome::DuplicateStream(account(&stream)),
        Err(ExecuteError::KeyReused { key }) => Outcome::KeyReused(key.parse().unwrap()),
        Err(ExecuteError::Conflict { conflict, .. }) => conflict_outcome(&conflict),
        Err(error) => panic!("{step:?}: {error:?}"),
    }
}

fn conflict_outcome(conflict: &Conflict) -> Outcome {
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

fn done(receipt: &Receipt) -> Done {
    let event =
        |record: &factum::store::RecordedEvent| (account(&record.stream), record.decode().unwrap());
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

fn state<const EVERY: u64>(account: &Loaded<Account<EVERY>>) -> AccountState {
    AccountState {
        version: account.version().get(),
        position: account.position().get(),
        limit: account.open.then_some(account.limit),
        balance: account.balance,
    }
}

/// Compares the log, and the state at every position, version and time, with the model.
async fn compare<const EVERY: u64>(engine: &Engine, model: &Model) {
    let page = engine.store().read(Read::all(Query::all())).await.unwrap();
    let log = page.events.iter();
    let stored: Vec<(u8, AccountEvent)> = log
        .map(|event| (account(&event.stream), event.decode().unwrap()))
        .collect();
    assert_eq!(stored, model.log);
    let times: Vec<Timestamp> = page.events.iter().map(|event| event.recorded_at).collect();
    for account in 0..ACCOUNTS {
        let load = || engine.load::<Account<EVERY>>(&account);
        assert_eq!(state(&load().await.unwrap()), model.current(account));
        for head in 0..=model.log.len() {
            let expected = model.state_after(account, head);
            let at_position = load().at_position((head as u64).into()).await.unwrap();
            assert_eq!(
                state(&at_position),
                expected,
                "account {account} at position {head}"
            );
            let at_version = load().at_version(expected.version).await.unwrap();
            assert_eq!(
                state(&at_version),
                expected,
                "account {account} at version {}",
                expected.version
            );
            let Some(time) = head.checked_sub(1).map(|last| times[last]) else {
                continue;
            };
            let recorded = times.partition_point(|recorded_at| *recorded_at <= time);
            let at_time = load().at_time(time).await.unwrap();
            assert_eq!(
                state(&at_time),
                model.state_after(account, recorded),
                "account {account} at {time}"
            );
        }
        let current = model.current(account).version;
        match load().at_version(current + 1).await {
            Err(LoadError::NoSuchVersion {
                stream: of,
                requested,
                actual,
            }) => assert_eq!(
                (of, requested.get(), actual.get()),
                (stream(account), current + 1, current)
            ),
            other => panic!("version {} of account {account}: {other:?}", current + 1),
        }
        let history = engine.history::<Account<EVERY>>(&account).await.unwrap();
        let history = history
            .into_iter()
            .map(|recorded| (account, recorded.event));
        let expected = model.log.iter().filter(|(of, _)| *of == account);
        assert!(
            history.eq(expected.cloned()),
            "history of account {account}"
        );
    }
}

/// Executes `steps` on two engines of one store, with `capacity` cached states each, and on the model.
async fn check_steps<const EVERY: u64>(
    store: impl Store + Clone,
    capacity: Option<usize>,
    steps: &[Step],
) {
    let engine = || match capacity {
        Some(entries) => Engine::builder(store.clone())
            .cache_capacity(entries)
            .build(),
        None => Engine::new(store.clone()),
    };
    let engines = [engine(), engine()];
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let (engine, expected) = (&engines[step.engine], model.expected_version(step));
        let outcome = match step.request {
            Request::Open(a, limit) => {
                execute(engine, Open::<EVERY>(a, limit), step, expected).await
            }
            Request::Deposit(a, n) => execute(engine, Deposit::<EVERY>(a, n), step, expected).await,
            Request::Withdraw(a, n) => {
                execute(engine, Withdraw::<EVERY>(a, n), step, expected).await
            }
            Request::Transfer(a, b, n) => {
                execute(engine, Transfer::<EVERY>(a, b, n), step, expected).await
            }
            Request::Bonus(a, b) => execute(engine, Bonus::<EVERY>(a, b), step, expected).await,
        };
        assert_eq!(outcome, model.execute(step), "step {number}: {step:?}");
    }
    for engine in [&engines[0], &engines[1], &engine()] {
        compare::<EVERY>(engine, &model).await;
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future);
}

async fn on_sqlite<const EVERY: u64>(capacity: Option<usize>, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    check_steps::<EVERY>(store.clone(), capacity, steps).await;
    store.close().await;
}

#[tokio::test]
async fn receipt_version_is_that_of_the_first_stream() {
    let engine = Engine::new(MemoryStore::new());
    for (account, limit) in [(1, 50), (2, 0)] {
        engine.execute(Open::<0>(account, limit)).await.unwrap();
    }
    engine.execute(Deposit::<0>(2, 40)).await.unwrap();
    let versions_of = |receipt: &Receipt| {
        let versions = receipt.versions().iter().map(|(_, version)| version.get());
        (receipt.version().get(), versions.collect::<Vec<_>>())
    };
    let bonus = || engine.execute(Bonus::<0>(1, 2)).idempotency_key("bonus");
    let first = bonus().await.unwrap();
    assert_eq!(versions_of(&first), (1, vec![1, 6]));
    // The account is already open with this limit, so the command stores no event, with or without a key.
    let nothing = || engine.execute(Open::<0>(1, 50));
    assert_eq!(versions_of(&nothing().await.unwrap()), (1, vec![1]));
    let keyed = || nothing().idempotency_key("open");
    assert_eq!(versions_of(&keyed().await.unwrap()), (1, vec![1]));
    // After a further event, the repeated commands return the same versions.
    engine.execute(Deposit::<0>(1, 10)).await.unwrap();
    assert_eq!(versions_of(&keyed().await.unwrap()), (1, vec![1]));
    assert_eq!(versions_of(&bonus().await.unwrap()), (1, vec![1, 6]));
}

const CAPACITIES: [Option<usize>; 3] = [Some(0), Some(1), None];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_matches_model_in_memory(steps in steps()) {
        for capacity in CAPACITIES {
            block_on(check_steps::<0>(MemoryStore::new(), capacity, &steps));
            block_on(check_steps::<3>(MemoryStore::new(), capacity, &steps));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_matches_model_on_sqlite(steps in steps()) {
        for capacity in CAPACITIES {
            block_on(on_sqlite::<0>(capacity, &steps));
            block_on(on_sqlite::<3>(capacity, &steps));
        }
    }
}
