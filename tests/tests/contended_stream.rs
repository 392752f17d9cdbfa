//! Concurrent commands on one stream: appends are pipelined, and results never depend on events that are not stored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gate.rs"]
mod gate;

use std::sync::Arc;

use factum::StreamId;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::store::{SnapshotStore, StoreError};
use gate::Gate;
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

/// Moves coins from one purse to another.
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

/// Takes a coin from one purse, and only reads the other.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Purse, Purse))]
struct TakeAndRead {
    #[id]
    from: u32,
    #[id]
    read: u32,
}

impl Decide for TakeAndRead {
    type Error = TooFew;
    fn decide(
        &self,
        _: (&Purse, &Purse),
    ) -> Result<(Events<PurseEvent>, Events<PurseEvent>), TooFew> {
        Ok((PurseEvent::Taken { coins: 1 }.into(), Events::none()))
    }
}

type PendingResult = JoinHandle<Result<Receipt, ExecuteError<TooFew>>>;

fn spawn<C: Decide<Error = TooFew>>(engine: &Engine, command: C) -> PendingResult {
    let engine = engine.clone();
    tokio::spawn(async move { engine.execute(command).await })
}

fn take(engine: &Engine, coins: u32) -> PendingResult {
    spawn(engine, Take { purse: 1, coins })
}

/// Returns a purse with `coins`, and a first command on it whose append is waiting.
async fn start(coins: u32) -> (Gate, Engine, PendingResult) {
    let gate = Gate::default();
    let engine = Engine::builder(gate.clone())
        .retry(RetryPolicy::NEVER)
        .build();
    let filled = spawn(&engine, Fill { purse: 1, coins });
    gate.complete(1).await;
    filled.await.unwrap().unwrap();
    let first = spawn(&engine, Fill { purse: 1, coins: 0 });
    gate.wait_for_appends(1).await;
    (gate, engine, first)
}

#[tokio::test]
async fn waiting_commands_append_in_one_pipeline() {
    let (gate, engine, first) = start(100).await;
    let taken: Vec<_> = (0..8).map(|_| take(&engine, 10)).collect();
    gate.complete(1).await;
    gate.wait_for_appends(8).await;
    // Loads do not return events that are not stored yet.
    assert_eq!(engine.load::<Purse>(&1).await.unwrap().coins, 100);
    gate.complete(8).await;
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
    // Snapshots are due at versions 4 and 8.
    let stream: StreamId = "purse-1".parse().unwrap();
    // Snapshots are saved in the background.
    let newest = async {
        loop {
            match gate.load_snapshot(&stream).await.unwrap() {
                Some(snapshot) if snapshot.version.get() >= 8 => break snapshot,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let snapshot = tokio::time::timeout(std::time::Duration::from_secs(30), newest).await;
    let snapshot = snapshot.expect("a snapshot at version 8");
    assert_eq!(snapshot.version.get(), 8);
    assert_eq!(snapshot.position.get(), 8);
}

#[tokio::test]
async fn failed_append_fails_only_dependent_appends() {
    let (gate, engine, first) = start(100).await;
    let taken: Vec<_> = (0..4).map(|_| take(&engine, 10)).collect();
    gate.complete(1).await;
    gate.wait_for_appends(4).await;
    gate.complete(1).await;
    gate.fail().await;
    gate.complete(2).await;
    let mut results = Vec::new();
    for taken in taken {
        results.push(taken.await.unwrap());
    }
    assert!(results[0].is_ok());
    assert!(matches!(
        results[1],
        Err(ExecuteError::Store(StoreError::Unavailable(_)))
    ));
    for result in &results[2..] {
        assert!(matches!(result, Err(ExecuteError::Conflict { .. })));
    }
    first.await.unwrap().unwrap();
    // The next command starts from the stored state.
    let next = take(&engine, 90);
    gate.complete(1).await;
    assert_eq!(next.await.unwrap().unwrap().version().get(), 4);
}

#[tokio::test]
async fn rejection_waits_until_its_state_is_stored() {
    let (gate, engine, first) = start(10).await;
    let taken = [10, 1, 1].map(|coins| take(&engine, coins));
    gate.complete(1).await;
    gate.wait_for_appends(1).await;
    tokio::task::yield_now().await;
    assert!(!taken[1].is_finished() && !taken[2].is_finished());
    gate.complete(1).await;
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
async fn rejection_after_failed_append_is_decided_again() {
    let (gate, engine, first) = start(10).await;
    let [all, second] = [10, 1].map(|coins| take(&engine, coins));
    gate.complete(1).await;
    gate.fail().await;
    assert!(all.await.unwrap().is_err());
    gate.complete(1).await;
    assert_eq!(second.await.unwrap().unwrap().version().get(), 3);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn cancelled_command_does_not_affect_later_commands() {
    let (gate, engine, first) = start(10).await;
    let [gone, second] = [10, 1].map(|coins| take(&engine, coins));
    gate.complete(1).await;
    gate.wait_for_appends(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // The engine does not know whether the append was stored. It was not, so the second command must not be rejected.
    gate.drop_next();
    gate.complete(1).await;
    assert_eq!(second.await.unwrap().unwrap().version().get(), 3);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn commands_over_two_streams_are_pipelined() {
    let (gate, engine, first) = start(100).await;
    let moved: Vec<_> = (0..6)
        .map(|number| {
            let (from, to) = if number % 3 == 2 { (2, 1) } else { (1, 2) };
            let coins = 10;
            spawn(&engine, Move { from, to, coins })
        })
        .collect();
    gate.complete(1).await;
    gate.wait_for_appends(6).await;
    gate.complete(6).await;
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
    let last = one.position().max(two.position());
    assert_eq!(last.get(), 14);
}

#[tokio::test]
async fn read_only_stream_keeps_its_position() {
    let (gate, engine, first) = start(10).await;
    let fill = |purse| spawn(&engine, Fill { purse, coins: 5 });
    let filled = [fill(2), fill(2)];
    let (from, read) = (1, 2);
    let taken = spawn(&engine, TakeAndRead { from, read });
    gate.complete(1).await;
    first.await.unwrap().unwrap();
    tokio::task::yield_now().await;
    gate.complete(1).await;
    let taken = Arc::new(tokio::sync::Mutex::new(Some(taken)));
    gate.complete_in_reverse(async || {
        let taken = taken.lock().await.take().unwrap();
        assert_eq!(taken.await.unwrap().unwrap().position().get(), 5);
    })
    .await;
    for filled in filled {
        filled.await.unwrap().unwrap();
    }
    for purse in [1, 2] {
        let loaded = engine.load::<Purse>(&purse).await.unwrap();
        let history = engine.history::<Purse>(&purse).await.unwrap();
        let last = history.last().unwrap().record.position;
        assert_eq!(loaded.position(), last, "purse {purse}");
    }
}

#[tokio::test]
async fn pipelined_append_fails_after_an_event_of_another_engine() {
    let (gate, engine, first) = start(10).await;
    let other = Engine::new(gate.store.clone());
    let filled = spawn(
        &engine,
        Fill {
            purse: 1,
            coins: 100,
        },
    );
    let taken = take(&engine, 100);
    gate.complete(1).await;
    first.await.unwrap().unwrap();
    gate.wait_for_appends(2).await;
    // Takes the version that the second append expects.
    other.execute(Fill { purse: 1, coins: 1 }).await.unwrap();
    gate.complete(2).await;
    let filled = filled.await.unwrap();
    assert!(
        matches!(filled, Err(ExecuteError::Conflict { .. })),
        "{filled:?}"
    );
    let taken = taken.await.unwrap();
    assert!(
        matches!(taken, Err(ExecuteError::Conflict { .. })),
        "{taken:?}"
    );
    assert_eq!(other.load::<Purse>(&1).await.unwrap().coins, 11);
}
