//! Events whose stored form has changed since: one stored event may be several today, or none, in every reader.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test fails by panicking, and shares its support with others"
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

use factum::document::Revision;
use factum::prelude::*;
use factum::projections::checkpoint;
use factum::{
    LegacyEvent, ProjectionState, Query, Read, ReadModel, RetryPolicy, Step, StepError,
    UpcastError, async_trait, upcast_legacy,
};
use factum_testkit::Backend;

use factum_sqlite::{BoxError, Sql, SqlError, SqlProject, SqlProjection};

use people::on_every_store;

on_every_store!(
    a_state_takes_all_events_of_one_position,
    a_snapshot_equals_a_replay_over_split_events,
    a_read_model_takes_all_in_one_step,
    what_is_parked_is_read_anew,
);

/// As it was.
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

    /// Code with a mistake: it asks for what was never stored.
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

/// An engine on a store in which the old code has stored three events of account 1.
async fn old<B: Backend>(place: &B) -> Engine {
    let engine = Engine::new(place.open().await);
    let opened = before::AccountEvent::Opened {
        owner: "Ada".to_owned(),
        deposit: 7,
    };
    let deposited = before::AccountEvent::Deposited { amount: 3 };
    let events = vec![opened, before::AccountEvent::Nudged, deposited];
    let record = before::Record { account: 1, events };
    engine.execute(record).await.unwrap();
    Engine::new(place.open().await)
}

fn account(balance: u64, events: u32) -> Account {
    Account {
        owner: "Ada".to_owned(),
        balance,
        events,
    }
}

async fn a_state_takes_all_events_of_one_position<B: Backend>() {
    let place = B::create().await;
    let engine = old(&place).await;
    let state = engine.load::<Account>(&1).await.unwrap();
    assert_eq!(*state, account(10, 3));
    // Versions and positions count what is stored.
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
    let places = history.iter().map(|event| event.record.version.get());
    assert_eq!(places.collect::<Vec<_>>(), [1, 1, 3, 4]);
}

async fn a_snapshot_equals_a_replay_over_split_events<B: Backend>() {
    let place = B::create().await;
    let engine = old(&place).await;
    assert_eq!(*engine.load::<Account>(&1).await.unwrap(), account(10, 3));
    let store = place.open().await;
    let stream = "account-1".parse().unwrap();
    let snapshot = loop {
        let snapshot = factum::SnapshotStore::load_snapshot(&store, &stream).await;
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

fn taken() -> [(u64, AccountEvent); 3] {
    let owner = "Ada".to_owned();
    [
        (1, AccountEvent::Opened { owner }),
        (1, AccountEvent::Deposited { amount: 7 }),
        (3, AccountEvent::Deposited { amount: 3 }),
    ]
}

async fn a_read_model_takes_all_in_one_step<B: Backend>() {
    let place = B::create().await;
    let engine = old(&place).await;
    let amounts = InMemory::<Amounts>::new();
    let projections = Projections::builder(&engine).with(amounts.clone()).start();
    let head = engine.store().read(Read::all(Query::all())).await.unwrap();
    projections.wait_for(head.head).await.unwrap();
    assert_eq!(amounts.read(|amounts| amounts.0.clone()), taken());
    projections.stop().await;
}

/// A read model of its own, whose checkpoint is in the store.
struct Taking<E>(Arc<Mutex<Vec<(u64, E)>>>, PhantomData<E>);

#[async_trait]
impl<E: Event + Debug + Clone> ReadModel for Taking<E> {
    fn name(&self) -> &str {
        "taking"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::names(["account.opened", "account.deposited"])
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let mut taken = Vec::new();
        for record in step.events {
            let events = record.decode_all::<E>()?;
            taken.extend(events.map(|event| (record.position.get(), event)));
        }
        self.0.lock().unwrap().extend(taken);
        step.change().await
    }
}

async fn what_is_parked_is_read_anew<B: Backend>() {
    let place = B::create().await;
    let engine = old(&place).await;
    let head = factum::Position::new(3);
    let mistaken = Taking::<before::Mistaken>(Arc::default(), PhantomData);
    let at_once = RetryPolicy {
        attempts: 1,
        ..RetryPolicy::default()
    };
    let builder = || Projections::builder(&engine).retry(at_once.clone());
    let projections = builder().with(mistaken).start();
    projections.wait_for(head).await.unwrap();
    let parked = projections.dead_letters("taking").await.unwrap();
    let positions: Vec<_> = parked.iter().map(|letter| letter.position.get()).collect();
    // What comes behind in its stream waits with it.
    assert_eq!(positions, [1, 3]);
    projections.stop().await;

    let taking = Arc::default();
    let mended = Taking::<AccountEvent>(Arc::clone(&taking), PhantomData);
    let projections = builder().with(mended).start();
    let mut status = projections.watch("taking").unwrap();
    let is_live = |status: &factum::ProjectionStatus| status.state == ProjectionState::Live;
    status.wait_for(is_live).await.unwrap();
    projections.retry("taking").await.unwrap();
    while !projections.dead_letters("taking").await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(taking.lock().unwrap()[..], taken());
    let store = place.open().await;
    assert_eq!(checkpoint(&store, "taking").await.unwrap(), head);
    projections.stop().await;
}

/// Keeps each amount in a table, but no unlucky one.
#[derive(Projection)]
#[projection(name = "kept", events = AccountEvent)]
struct Kept;

impl SqlProjection for Kept {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {kept} (position integer, what text)").await
    }
}

impl SqlProject<AccountEvent> for Kept {
    async fn project(
        &self,
        event: &Recorded<AccountEvent>,
        db: &mut Sql<'_>,
    ) -> Result<(), BoxError> {
        if event.event == (AccountEvent::Deposited { amount: 13 }) {
            return Err("unlucky".into());
        }
        let keep = db.query("insert into {kept} (position, what) values ($1, $2)");
        let keep = keep.bind(event.record.position);
        keep.bind(format!("{:?}", event.event)).execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_part_of_an_effect_is_none() {
    let place = people::File::create().await;
    let store = place.open().await;
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
    let builder = Projections::builder(&engine).retry(at_once);
    let projections = builder.with(store.read_model(Kept)).start();
    projections
        .wait_for(factum::Position::new(2))
        .await
        .unwrap();
    let kept = store.query("select position from kept").fetch_all::<i64>();
    let kept = kept.await.unwrap();
    // Both of the first, and of the second not even the one that could be kept.
    assert_eq!(kept, [1, 1]);
    let letters = projections.dead_letters("kept").await.unwrap();
    assert_eq!(letters.len(), 1);
    projections.stop().await;
}
