//! Commands on a stream in demand: they do not wait for each other's commit, and rest on nothing that is not stored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use factum::async_trait;
use factum::prelude::*;
use factum::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Position, Read, RetryPolicy,
    SnapshotStore, StoreError, StreamId,
};
use factum_memory::MemoryStore;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "purse")]
enum PurseEvent {
    Filled { coins: u32 },
    Taken { coins: u32 },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "purse", id = u32, event = PurseEvent, snapshot(every = 4))]
struct Purse {
    coins: u32,
}

impl Apply<PurseEvent> for Purse {
    fn apply(&mut self, event: &PurseEvent) {
        match event {
            PurseEvent::Filled { coins } => self.coins += coins,
            PurseEvent::Taken { coins } => self.coins -= coins,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{coins} coins are in the purse")]
struct TooFew {
    coins: u32,
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Purse)]
struct Take {
    #[id]
    purse: u32,
    coins: u32,
}

impl Decide for Take {
    type Error = TooFew;
    fn decide(&self, purse: &Purse) -> Result<Events<PurseEvent>, TooFew> {
        if purse.coins < self.coins {
            return Err(TooFew { coins: purse.coins });
        }
        Ok(PurseEvent::Taken { coins: self.coins }.into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Purse)]
struct Fill {
    #[id]
    purse: u32,
    coins: u32,
}

impl Decide for Fill {
    type Error = TooFew;
    fn decide(&self, _: &Purse) -> Result<Events<PurseEvent>, TooFew> {
        Ok(PurseEvent::Filled { coins: self.coins }.into())
    }
}

/// Commands move coins from one purse to another.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Purse, Purse))]
struct Move {
    #[id]
    from: u32,
    #[id]
    to: u32,
    coins: u32,
}

impl Decide for Move {
    type Error = TooFew;
    fn decide(
        &self,
        (from, _): (&Purse, &Purse),
    ) -> Result<(Events<PurseEvent>, Events<PurseEvent>), TooFew> {
        if from.coins < self.coins {
            return Err(TooFew { coins: from.coins });
        }
        let coins = self.coins;
        Ok((
            PurseEvent::Taken { coins }.into(),
            PurseEvent::Filled { coins }.into(),
        ))
    }
}

/// Takes from one purse, and only looks at another.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Purse, Purse))]
struct TakeBeside {
    #[id]
    from: u32,
    #[id]
    beside: u32,
}

impl Decide for TakeBeside {
    type Error = TooFew;
    fn decide(
        &self,
        _: (&Purse, &Purse),
    ) -> Result<(Events<PurseEvent>, Events<PurseEvent>), TooFew> {
        Ok((PurseEvent::Taken { coins: 1 }.into(), Events::none()))
    }
}

type Waiting = (Append, oneshot::Sender<Result<Appended, AppendError>>);

/// Appends wait, in order, until the test lets them pass.
#[derive(Clone, Default)]
struct Gate {
    store: MemoryStore,
    waiting: Arc<Mutex<VecDeque<Waiting>>>,
    came: Arc<Notify>,
}

impl Gate {
    /// Waits until `count` appends wait, all at the same time.
    async fn gather(&self, count: usize) {
        loop {
            let came = self.came.notified();
            if self.waiting.lock().unwrap().len() >= count {
                return;
            }
            came.await;
        }
    }

    async fn pass(&self, count: usize) {
        for _ in 0..count {
            self.gather(1).await;
            let (append, answer) = self.waiting.lock().unwrap().pop_front().unwrap();
            let _ = answer.send(self.store.append(append).await);
        }
    }

    /// Stores two in order, and answers the second first: `between` waits until that was heard.
    async fn answer_backward(&self, between: impl AsyncFnOnce()) {
        self.gather(2).await;
        let (one, two) = {
            let mut waiting = self.waiting.lock().unwrap();
            (waiting.pop_front().unwrap(), waiting.pop_front().unwrap())
        };
        let first = self.store.append(one.0).await;
        two.1.send(self.store.append(two.0).await).unwrap();
        between().await;
        one.1.send(first).unwrap();
    }

    async fn fail(&self) {
        self.gather(1).await;
        let (_, answer) = self.waiting.lock().unwrap().pop_front().unwrap();
        let gone = StoreError::Unavailable("nobody is there".into());
        answer.send(Err(gone.into())).unwrap();
    }
}

#[async_trait]
impl EventStore for Gate {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().push_back((append, answer));
        self.came.notify_waiters();
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::delegate!(snapshots, [] Gate, |this| this.store);
factum::delegate!(documents, [] Gate, |this| this.store);

type Answer = JoinHandle<Result<Receipt, ExecuteError<TooFew>>>;

fn spawn<C: Decide<Error = TooFew>>(engine: &Engine, command: C) -> Answer {
    let engine = engine.clone();
    tokio::spawn(async move { engine.execute(command).await })
}

fn take(engine: &Engine, coins: u32) -> Answer {
    spawn(engine, Take { purse: 1, coins })
}

/// A purse with `coins`, and a command on it that keeps its turn until it is let pass.
async fn begin(coins: u32) -> (Gate, Engine, Answer) {
    let gate = Gate::default();
    let engine = Engine::builder(gate.clone())
        .retry(RetryPolicy::NEVER)
        .build();
    let filled = spawn(&engine, Fill { purse: 1, coins });
    gate.pass(1).await;
    filled.await.unwrap().unwrap();
    let first = spawn(&engine, Fill { purse: 1, coins: 0 });
    gate.gather(1).await;
    (gate, engine, first)
}

#[tokio::test]
async fn commands_that_wait_for_one_stream_go_out_together() {
    let (gate, engine, first) = begin(100).await;
    let taken: Vec<_> = (0..8).map(|_| take(&engine, 10)).collect();
    gate.pass(1).await;
    gate.gather(8).await;
    // What is on its way is nobody's state yet.
    assert_eq!(engine.load::<Purse>(&1).await.unwrap().coins, 100);
    gate.pass(8).await;
    for (number, taken) in (3..).zip(taken) {
        let receipt = taken.await.unwrap().unwrap();
        assert_eq!(receipt.version().get(), number);
        assert_eq!(receipt.position().get(), number);
        assert_eq!(receipt.attempts(), 1);
    }
    assert_eq!(first.await.unwrap().unwrap().version().get(), 2);
    let purse = engine.load::<Purse>(&1).await.unwrap();
    assert_eq!((purse.coins, purse.version().get()), (20, 10));
    assert_eq!(purse.position().get(), 10);
    // A snapshot is due at version 4 and 8, whoever goes on from there.
    let stream: StreamId = "purse-1".parse().unwrap();
    let snapshot = gate.load_snapshot(&stream).await.unwrap().unwrap();
    assert_eq!(snapshot.version.get(), 8);
    assert_eq!(snapshot.position.get(), 8);
}

#[tokio::test]
async fn what_fails_takes_with_it_what_rests_on_it_and_no_more() {
    let (gate, engine, first) = begin(100).await;
    let taken: Vec<_> = (0..4).map(|_| take(&engine, 10)).collect();
    gate.pass(1).await;
    gate.gather(4).await;
    gate.pass(1).await;
    gate.fail().await;
    gate.pass(2).await;
    let mut answers = Vec::new();
    for taken in taken {
        answers.push(taken.await.unwrap());
    }
    assert!(answers[0].is_ok());
    assert!(matches!(
        answers[1],
        Err(ExecuteError::Store(StoreError::Unavailable(_)))
    ));
    for answer in &answers[2..] {
        assert!(matches!(answer, Err(ExecuteError::Conflict { .. })));
    }
    first.await.unwrap().unwrap();
    // The next one goes on from what is stored.
    let next = take(&engine, 90);
    gate.pass(1).await;
    assert_eq!(next.await.unwrap().unwrap().version().get(), 4);
}

#[tokio::test]
async fn a_rejection_waits_until_what_it_rests_on_is_stored() {
    let (gate, engine, first) = begin(10).await;
    let taken = [10, 1, 1].map(|coins| take(&engine, coins));
    gate.pass(1).await;
    gate.gather(1).await;
    tokio::task::yield_now().await;
    assert!(!taken[1].is_finished() && !taken[2].is_finished());
    gate.pass(1).await;
    let [all, second, third] = taken;
    assert_eq!(all.await.unwrap().unwrap().version().get(), 3);
    for rejected in [second, third] {
        let rejected = rejected.await.unwrap();
        assert!(
            matches!(rejected, Err(ExecuteError::Rejected(TooFew { coins: 0 }))),
            "{rejected:?}"
        );
    }
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_rested_on_a_failure_is_decided_again_instead_of_rejected() {
    let (gate, engine, first) = begin(10).await;
    let [all, second] = [10, 1].map(|coins| take(&engine, coins));
    gate.pass(1).await;
    gate.fail().await;
    assert!(all.await.unwrap().is_err());
    gate.pass(1).await;
    assert_eq!(second.await.unwrap().unwrap().version().get(), 3);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_does_not_wait_for_the_answer_leaves_nothing_behind() {
    let (gate, engine, first) = begin(10).await;
    let [gone, second] = [10, 1].map(|coins| take(&engine, coins));
    gate.pass(1).await;
    gate.gather(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // Whether it is stored is not known; it is not, and nobody is rejected for it.
    drop(gate.waiting.lock().unwrap().pop_front());
    gate.pass(1).await;
    assert_eq!(second.await.unwrap().unwrap().version().get(), 3);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn commands_over_two_streams_go_ahead_as_well() {
    let (gate, engine, first) = begin(100).await;
    let moved: Vec<_> = (0..6)
        .map(|number| {
            let (from, to) = if number % 3 == 2 { (2, 1) } else { (1, 2) };
            let coins = 10;
            spawn(&engine, Move { from, to, coins })
        })
        .collect();
    gate.pass(1).await;
    gate.gather(6).await;
    gate.pass(6).await;
    for (number, moved) in (1..).zip(moved) {
        let receipt = moved.await.unwrap().unwrap();
        assert_eq!(receipt.position().get(), 2 + number * 2);
    }
    first.await.unwrap().unwrap();
    let purses = [1, 2];
    let one = engine.load::<Purse>(&purses[0]).await.unwrap();
    let two = engine.load::<Purse>(&purses[1]).await.unwrap();
    assert_eq!((one.coins, two.coins), (80, 20));
    assert_eq!((one.version().get(), two.version().get()), (8, 6));
    let newest = one.position().max(two.position());
    assert_eq!(newest.get(), 14);
}

#[tokio::test]
async fn what_is_only_looked_at_keeps_its_place() {
    let (gate, engine, first) = begin(10).await;
    let fill = |purse| spawn(&engine, Fill { purse, coins: 5 });
    let filled = [fill(2), fill(2)];
    let (from, beside) = (1, 2);
    let looked = spawn(&engine, TakeBeside { from, beside });
    gate.pass(1).await;
    first.await.unwrap().unwrap();
    tokio::task::yield_now().await;
    gate.pass(1).await;
    let looked = Arc::new(tokio::sync::Mutex::new(Some(looked)));
    gate.answer_backward(async || {
        let looked = looked.lock().await.take().unwrap();
        assert_eq!(looked.await.unwrap().unwrap().position().get(), 5);
    })
    .await;
    for filled in filled {
        filled.await.unwrap().unwrap();
    }
    for purse in [1, 2] {
        let loaded = engine.load::<Purse>(&purse).await.unwrap();
        let history = engine.history::<Purse>(&purse).await.unwrap();
        let newest = history.last().unwrap().record.position;
        assert_eq!(loaded.position(), newest, "purse {purse}");
    }
}
