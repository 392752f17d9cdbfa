//! Promotions, rebuilds, resets and pauses, as readers see them under load.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/check.rs"]
mod check;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/rolling.rs"]
mod rolling;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::runtime::{ConsumerState, FailurePolicy, WaitError};
use factum_tests::backend::Backend;
use factum_tests::count::Count;
use factum_tests::load::{Fill, PATIENT};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use rolling::{
    LEASE, assert_counts_never_decrease, assert_equals_replay, counts, run, wait_error, within,
};

/// Concurrent writers and readers, each with its own store.
struct Load {
    end: Arc<AtomicBool>,
    last: watch::Sender<u64>,
    writers: Vec<JoinHandle<u64>>,
    readers: Vec<JoinHandle<u64>>,
}

impl Load {
    async fn start(place: &str) -> Self {
        let end: Arc<AtomicBool> = Arc::default();
        let last = watch::Sender::new(0);
        let mut writers = Vec::new();
        let backend = Arc::new(Backend::open(place).await.unwrap());
        for writer in 0..8 {
            let (engine, end, last) = (backend.engine(), end.clone(), last.clone());
            writers.push(tokio::spawn(async move {
                let mut turn = 0;
                while !end.load(SeqCst) {
                    let fill = Fill::new(&format!("w{writer}"), turn);
                    let position = fill.execute(&engine).await.unwrap().position;
                    last.send_modify(|last| *last = position.max(*last));
                    turn += 1;
                }
                turn
            }));
        }
        let mut readers = Vec::new();
        for _ in 0..2 {
            let backend = Backend::open(place).await.unwrap();
            readers.push(tokio::spawn(assert_counts_never_decrease(
                backend,
                end.clone(),
                Duration::ZERO,
            )));
        }
        Self {
            end,
            last,
            writers,
            readers,
        }
    }

    /// Waits until this number of further events is stored.
    async fn more(&self, events: u64) {
        let mut last = self.last.subscribe();
        let enough = *last.borrow() + events;
        within("the writes", last.wait_for(|last| *last >= enough))
            .await
            .unwrap();
    }

    /// Stops the load and returns the position of the last event.
    async fn end(self) -> Position {
        self.end.store(true, SeqCst);
        for writer in self.writers {
            writer.await.unwrap();
        }
        for reader in self.readers {
            assert!(reader.await.unwrap() > 0, "a reader read nothing");
        }
        Position::new(*self.last.borrow())
    }
}

/// Waits until the database has exactly these tables and views.
async fn until_tables(backend: &Backend, expected: &[&str]) {
    let matched = async {
        while backend.tables().await.unwrap() != expected {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), matched)
        .await
        .is_err()
    {
        assert_eq!(backend.tables().await.unwrap(), expected);
    }
}

async fn readers_never_miss_events_during_promotion(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let old = run::<1, 1>(&backend, &engine).await;
    within("the start", old.wait_until_current()).await.unwrap();
    let load = Load::start(place).await;
    load.more(300).await;
    let first = Position::new(*load.last.borrow());
    within("the first events", old.wait_for(first))
        .await
        .unwrap();

    let new_backend = Backend::open(place).await.unwrap();
    let new_engine = new_backend.engine();
    let new = run::<2, 1>(&new_backend, &new_engine).await;
    within("the build", new.wait_until_current()).await.unwrap();
    let status = new.status().remove(0);
    assert_eq!((status.build, status.building), (2, None));
    load.more(100).await;
    // The old build continues until it is pruned.
    assert_eq!(backend.tables().await.unwrap(), ["jar", "jar__1", "jar__2"]);
    let last = Position::new(*load.last.borrow());
    within("the wait on the old build", old.wait_for(last))
        .await
        .unwrap();
    old.stop().await;
    counts(&new).prune_builds().await.unwrap();
    load.more(100).await;

    within("a rebuild", counts(&new).rebuild()).await.unwrap();
    assert_eq!(new.status()[0].build, 3);
    load.more(100).await;
    let last = load.end().await;
    within("catch-up", new.wait_for(last)).await.unwrap();
    assert_equals_replay(&new_backend, &new_engine).await;
    until_tables(&backend, &["jar", "jar__3"]).await;
    new.stop().await;
    new_backend.close().await;
    backend.close().await;
}

async fn reset_empties_read_model_and_keeps_pause(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let runtime = run::<1, 1>(&backend, &engine).await;
    let mut last = Position::ZERO;
    for turn in 0..20 {
        let filled = Fill::new("a", turn).execute(&engine).await.unwrap();
        last = Position::new(filled.position);
    }
    runtime.wait_for(last).await.unwrap();
    counts(&runtime).pause().await.unwrap();
    let mut status = counts(&runtime).watch();
    let paused = status.wait_for(|status| status.state == ConsumerState::Paused);
    paused.await.unwrap();
    let filled = Fill::new("a", 20).execute(&engine).await.unwrap();
    within("a reset", counts(&runtime).reset()).await.unwrap();
    assert_eq!(backend.jars().await.unwrap().len(), 0);
    assert_eq!(runtime.status()[0].position, Position::ZERO);
    counts(&runtime).resume().await.unwrap();
    let last = Position::new(filled.position);
    within("catch-up", runtime.wait_for(last)).await.unwrap();
    assert_equals_replay(&backend, &engine).await;
    runtime.stop().await;
    backend.close().await;
}

async fn build_keeps_its_partition_count(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let one = run::<1, 1>(&backend, &engine).await;
    let filled = Fill::new("a", 2).execute(&engine).await.unwrap();
    one.wait_for(Position::new(filled.position)).await.unwrap();
    one.stop().await;
    let three = run::<1, 3>(&backend, &engine).await;
    let filled = Fill::new("b", 2).execute(&engine).await.unwrap();
    let last = Position::new(filled.position);
    three.wait_for(last).await.unwrap();
    let status = three.status().remove(0);
    assert_eq!((status.build, status.nodes.len()), (1, 1));
    within("a rebuild", counts(&three).rebuild()).await.unwrap();
    three.wait_for(last).await.unwrap();
    let status = three.status().remove(0);
    assert_eq!((status.build, status.nodes.len()), (2, 3));
    assert_equals_replay(&backend, &engine).await;
    three.stop().await;
    backend.close().await;
}

/// Deploys version 2, rolls back to version 1, and deploys version 2 again.
async fn version_rollback_requires_rebuild(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let filled = Fill::new("a", 2).execute(&engine).await.unwrap();
    let first = run::<1, 1>(&backend, &engine).await;
    let last = Position::new(filled.position);
    first.wait_for(last).await.unwrap();
    first.stop().await;
    let second = run::<2, 1>(&backend, &engine).await;
    within("the build", second.wait_until_current())
        .await
        .unwrap();
    second.stop().await;
    let first = run::<1, 1>(&backend, &engine).await;
    let filled = Fill::new("a", 3).execute(&engine).await.unwrap();
    let mut status = counts(&first).watch();
    let newer = status.wait_for(|status| status.build == 2 && status.position == last);
    within("the newer build", newer).await.unwrap();
    assert!(!first.status()[0].is_current_version);
    // No node updates the active build; the error says so and names the remedy.
    let superseded = "the active build 2 of version 2 was created after build 1 of this code's version 1: call \
                      `rebuild` to make that version active again";
    let blocked = |position, reason: &str| WaitError::PromotionBlocked {
        name: "counts".to_owned(),
        position,
        reason: reason.to_owned(),
    };
    let waited = within("the wait", first.wait_until_current()).await;
    assert_eq!(wait_error(waited), blocked(last, superseded));
    let promotion_blocked = first.status().remove(0).promotion_blocked;
    assert_eq!(promotion_blocked.as_deref(), Some(superseded));
    let (checkpoint, last) = (last, Position::new(filled.position));
    let waited = within("the wait", first.wait_for(last)).await;
    let abandoned = "no node processes the active build 2: start a node with code of version 2; ";
    let stopped = WaitError::Stopped {
        name: "counts".to_owned(),
        position: checkpoint,
        error: format!("{abandoned}{superseded}"),
    };
    assert_eq!(waited, Err(stopped));
    assert_eq!(first.status()[0].state, ConsumerState::Stopped);
    // Only an explicit rebuild makes the old version active again.
    within("a rebuild", counts(&first).rebuild()).await.unwrap();
    within("catch-up", first.wait_for(last)).await.unwrap();
    within("catch-up", first.wait_until_current())
        .await
        .unwrap();
    assert_equals_replay(&backend, &engine).await;

    let second = run::<2, 1>(&backend, &engine).await;
    let waited = within("the wait", second.wait_until_current()).await;
    let superseded = "the active build 3 of version 1 was created after build 2 of this code's version 2: call \
                      `rebuild` to make that version active again";
    assert_eq!(wait_error(waited), blocked(last, superseded));
    // The build of version 1 is active and is updated.
    let filled = Fill::new("a", 5).execute(&engine).await.unwrap();
    let last = Position::new(filled.position);
    within("build 3", second.wait_for(last)).await.unwrap();
    assert_equals_replay(&backend, &engine).await;
    within("a rebuild", counts(&second).rebuild())
        .await
        .unwrap();
    within("catch-up", second.wait_until_current())
        .await
        .unwrap();
    assert_eq!(second.status()[0].build, 4);
    second.stop().await;
    first.stop().await;
    backend.close().await;
}

/// The next process completes whatever a crashed one had started.
async fn crash_during_build_or_prune_leaves_no_table(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let mut last = Position::ZERO;
    for turn in 0..100 {
        let filled = Fill::new("a", turn).execute(&engine).await.unwrap();
        last = Position::new(filled.position);
    }
    let first = run::<1, 1>(&backend, &engine).await;
    first.wait_for(last).await.unwrap();
    first.stop().await;

    // This node crashes in the middle of its first page.
    let (started, mut progress) = watch::channel(0);
    let count = Count::<2, 1> {
        on_event: Arc::new(move |_| {
            started.send_modify(|started| *started += 1);
            Ok(())
        }),
        delay: Duration::from_millis(1),
    };
    let builder = Runtime::builder(&engine).retry(PATIENT).lease(LEASE);
    let crashed = count
        .on(&backend, builder, FailurePolicy::DeadLetter)
        .start()
        .await
        .unwrap();
    progress.wait_for(|started| *started >= 20).await.unwrap();
    drop(crashed);
    assert_eq!(backend.tables().await.unwrap(), ["jar", "jar__1", "jar__2"]);

    let second = run::<2, 1>(&backend, &engine).await;
    within("the build", second.wait_until_current())
        .await
        .unwrap();
    assert_eq!(second.status()[0].build, 2);
    assert_equals_replay(&backend, &engine).await;
    counts(&second).prune_builds().await.unwrap();
    drop(second);
    let third = run::<2, 1>(&backend, &engine).await;
    until_tables(&backend, &["jar", "jar__2"]).await;
    within("catch-up", third.wait_for(last)).await.unwrap();
    assert_equals_replay(&backend, &engine).await;
    third.stop().await;
    backend.close().await;
}

databases::on_each_store! {
    crash_during_build_or_prune_leaves_no_table;
    readers_never_miss_events_during_promotion;
    reset_empties_read_model_and_keeps_pause;
    build_keeps_its_partition_count;
    version_rollback_requires_rebuild;
}
