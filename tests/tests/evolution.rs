//! Schema evolution: every reader decodes a stored event into one, several or no current events.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking and uses a part of the support"
)]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use factum::engine::RetryPolicy;
use factum::event::{LegacyEvent, UpcastError, upcast_legacy};
use factum::prelude::*;
use factum::runtime::checkpoint;
use factum::runtime::{Batch, BatchError, Consumer, ConsumerState, ReadModel};
use factum::store::Revision;
use factum::store::{Query, Read};
use factum_testkit::Backend;

use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection};

use people::on_every_store;

on_every_store!(
    state_applies_all_events_of_one_position,
    snapshot_equals_replay_of_split_events,
    read_model_applies_split_events_in_one_batch,
    dead_letter_is_decoded_again_on_retry,
);

/// The old version of the code.
mod before {
    use super::*;

    #[derive(Event, Debug, Clone, Serialize, Deserialize)]
    #[event(prefix = "account")]
    pub(super) enum AccountEvent {
        Opened { owner: String, deposit: u64 },
        Deposited { amount: u64 },
        Nudged,
    }

    #[derive(Aggregate, Debug, Clone, Default)]
    #[aggregate(category = "account", id = u32, event = AccountEvent)]
    pub(super) struct Account;

    impl Apply<AccountEvent> for Account {
        fn apply(&mut self, _: &AccountEvent) {}
    }

    #[derive(Command, Debug, Clone, Serialize, Deserialize)]
    #[command(on = Account)]
    pub(super) struct Record {
        #[id]
        pub(super) account: u32,
        pub(super) events: Vec<AccountEvent>,
    }

    impl Decide for Record {
        type Error = std::convert::Infallible;
        fn decide(&self, _: &Account) -> Result<Events<AccountEvent>, Self::Error> {
            Ok(self.events.clone().into())
        }
    }

    /// An event type with a bug: it requires a field that was never stored.
    #[derive(Event, Debug, Clone, Serialize, Deserialize)]
    #[event(name = "account.opened")]
    pub(super) struct Mistaken {
        branch: u32,
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "account", legacy = [OpenedWith], retired = ["account.nudged"])]
enum AccountEvent {
    #[event(version = 2, upcast = upcast_legacy)]
    Opened { owner: String },
    #[event(name = "account.paid_in", alias = "account.deposited")]
    Deposited { amount: u64 },
}

#[derive(Event, Debug, Serialize, Deserialize)]
#[event(name = "account.opened")]
struct OpenedWith {
    owner: String,
    deposit: u64,
}

impl LegacyEvent<AccountEvent> for OpenedWith {
    fn into_current(self) -> Result<Events<AccountEvent>, UpcastError> {
        let amount = self.deposit;
        let opened = AccountEvent::Opened { owner: self.owner };
        Ok([opened, AccountEvent::Deposited { amount }].into())
    }
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "account", id = u32, event = AccountEvent, snapshot(every = 2))]
struct Account {
    owner: String,
    balance: u64,
    events: u32,
}

impl Apply<AccountEvent> for Account {
    fn apply(&mut self, event: &AccountEvent) {
        self.events += 1;
        match event {
            AccountEvent::Opened { owner } => self.owner.clone_from(owner),
            AccountEvent::Deposited { amount } => self.balance += amount,
        }
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Account)]
struct Deposit {
    #[id]
    account: u32,
    amount: u64,
}

impl Decide for Deposit {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Account) -> Result<Events<AccountEvent>, Self::Error> {
        let amount = self.amount;
        Ok(AccountEvent::Deposited { amount }.into())
    }
}

/// Returns an engine on a store where the old code has stored three events of account 1.
async fn with_old_events<B: Backend>(backend: &B) -> Engine {
    let engine = Engine::new(backend.open().await);
    let opened = before::AccountEvent::Opened {
        owner: "Ada".to_owned(),
        deposit: 7,
    };
    let deposited = before::AccountEvent::Deposited { amount: 3 };
    let events = vec![opened, before::AccountEvent::Nudged, deposited];
    let record = before::Record { account: 1, events };
    engine.execute(record).await.unwrap();
    Engine::new(backend.open().await)
}

fn account(balance: u64, events: u32) -> Account {
    Account {
        owner: "Ada".to_owned(),
        balance,
        events,
    }
}

async fn state_applies_all_events_of_one_position<B: Backend>() {
    let backend = B::create().await;
    let engine = with_old_events(&backend).await;
    let state = engine.load::<Account>(&1).await.unwrap();
    assert_eq!(*state, account(10, 3));
    // Versions and positions count stored events.
    assert_eq!((state.version().get(), state.position().get()), (3, 3));
    let first = engine.load::<Account>(&1).at_version(1).await.unwrap();
    assert_eq!(*first, account(7, 2));
    let second = engine.load::<Account>(&1).at_version(2).await.unwrap();
    assert_eq!((&*second, second.version().get()), (&account(7, 2), 2));
    let deposit = Deposit {
        account: 1,
        amount: 5,
    };
    let receipt = engine.execute(deposit).expected_version(3).await.unwrap();
    assert_eq!((receipt.version().get(), receipt.attempts()), (4, 1));
    let history = engine.history::<Account>(&1).await.unwrap();
    let versions = history.iter().map(|event| event.record.version.get());
    assert_eq!(versions.collect::<Vec<_>>(), [1, 1, 3, 4]);
}

async fn snapshot_equals_replay_of_split_events<B: Backend>() {
    let backend = B::create().await;
    let engine = with_old_events(&backend).await;
    assert_eq!(*engine.load::<Account>(&1).await.unwrap(), account(10, 3));
    let store = backend.open().await;
    let stream = "account-1".parse().unwrap();
    let snapshot = loop {
        let snapshot = factum::store::SnapshotStore::load_snapshot(&store, &stream).await;
        match snapshot.unwrap() {
            Some(snapshot) => break snapshot,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(snapshot.version.get(), 3);
    let engine = Engine::new(store);
    assert_eq!(*engine.load::<Account>(&1).await.unwrap(), account(10, 3));
}

#[derive(Projection, Default)]
#[projection(events = AccountEvent)]
struct Amounts(Vec<(u64, AccountEvent)>);

impl Project<AccountEvent> for Amounts {
    fn project(&mut self, event: &Recorded<AccountEvent>) {
        let position = event.record.position.get();
        self.0.push((position, event.event.clone()));
    }
}

fn current_events() -> [(u64, AccountEvent); 3] {
    let owner = "Ada".to_owned();
    [
        (1, AccountEvent::Opened { owner }),
        (1, AccountEvent::Deposited { amount: 7 }),
        (3, AccountEvent::Deposited { amount: 3 }),
    ]
}

async fn read_model_applies_split_events_in_one_batch<B: Backend>() {
    let backend = B::create().await;
    let engine = with_old_events(&backend).await;
    let amounts = InMemory::<Amounts>::new();
    let runtime = Runtime::builder(&engine)
        .projection(amounts.clone())
        .start()
        .await
        .unwrap();
    let head = engine.store().read(Read::all(Query::all())).await.unwrap();
    runtime.wait_for(head.head).await.unwrap();
    assert_eq!(amounts.read(|amounts| amounts.0.clone()), current_events());
    runtime.stop().await;
}

/// A custom read model that records events, with its checkpoint in the store.
struct Recording<E>(Arc<Mutex<Vec<(u64, E)>>>, PhantomData<E>);

impl<E: Event + Debug + Clone> Consumer for Recording<E> {
    fn name(&self) -> &str {
        "recording"
    }

    fn query(&self) -> Query {
        Query::event_types(["account.opened", "account.deposited"])
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let mut decoded = Vec::new();
        for record in batch.events {
            let events = record.decode_all::<E>()?;
            decoded.extend(events.map(|event| (record.position.get(), event)));
        }
        self.0.lock().unwrap().extend(decoded);
        batch.commit().await
    }
}

impl<E: Event + Debug + Clone> ReadModel for Recording<E> {
    fn version(&self) -> u32 {
        1
    }
}

async fn dead_letter_is_decoded_again_on_retry<B: Backend>() {
    let backend = B::create().await;
    let engine = with_old_events(&backend).await;
    let head = factum::Position::new(3);
    let mistaken = Recording::<before::Mistaken>(Arc::default(), PhantomData);
    let at_once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = || Runtime::builder(&engine).retry(at_once.clone());
    let runtime = builder().projection(mistaken).start().await.unwrap();
    runtime.wait_for(head).await.unwrap();
    let dead_letters = runtime
        .projection_named("recording")
        .unwrap()
        .dead_letters()
        .await
        .unwrap();
    let positions: Vec<_> = dead_letters
        .iter()
        .map(|letter| letter.position.get())
        .collect();
    // The later event of the stream is blocked.
    assert_eq!(positions, [1, 3]);
    runtime.stop().await;

    let recorded = Arc::default();
    let fixed = Recording::<AccountEvent>(Arc::clone(&recorded), PhantomData);
    let runtime = builder().projection(fixed).start().await.unwrap();
    let recording = runtime.projection_named("recording").unwrap();
    let mut status = recording.watch();
    let is_live = |status: &factum::runtime::ConsumerStatus| status.state == ConsumerState::Live;
    status.wait_for(is_live).await.unwrap();
    recording.retry_all().await.unwrap();
    while !recording.dead_letters().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(recorded.lock().unwrap()[..], current_events());
    let store = backend.open().await;
    assert_eq!(checkpoint(&store, "recording").await.unwrap(), head);
    runtime.stop().await;
}

/// A projection that stores each event in a table, but fails for a deposit of 13.
#[derive(Projection)]
#[projection(name = "entries", events = AccountEvent)]
struct Entries;

impl SqlProjection for Entries {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {entries} (position integer, event text)")
            .await
    }
}

impl SqlProject<AccountEvent> for Entries {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        if event.event == (AccountEvent::Deposited { amount: 13 }) {
            return Err("unlucky".into());
        }
        let insert = db.query("insert into {entries} (position, event) values ($1, $2)");
        let insert = insert.bind(event.record.position);
        insert.bind(format!("{:?}", event.event)).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn failing_split_event_leaves_no_partial_effect() {
    let backend = people::File::create().await;
    let store = backend.open().await;
    let engine = Engine::new(store.clone());
    for (account, deposit) in [(1, 7), (2, 13)] {
        let owner = "Ada".to_owned();
        let opened = before::AccountEvent::Opened { owner, deposit };
        let events = vec![opened];
        engine
            .execute(before::Record { account, events })
            .await
            .unwrap();
    }
    let at_once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = Runtime::builder(&engine).retry(at_once);
    let runtime = builder
        .projection(store.read_model(Entries))
        .start()
        .await
        .unwrap();
    runtime.wait_for(factum::Position::new(2)).await.unwrap();
    let positions = store.query("select position from entries");
    let positions: Vec<i64> = positions.fetch_all().await.unwrap();
    // The first stored event has two rows. The second has none, although one of its events could be stored.
    assert_eq!(positions, [1, 1]);
    let entries = runtime.projection::<Entries>().unwrap();
    assert_eq!(entries.dead_letters().await.unwrap().len(), 1);
    runtime.stop().await;
}
