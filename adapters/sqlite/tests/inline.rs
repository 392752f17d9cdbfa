//! Inline projections: what is appended and its effect are one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use factum::store::{Changes, DocumentStore as _, Revision};
use factum::store::{AppendError, EventStore as _, ExpectedVersion, StoreError};
use factum_sqlite::{SqliteOptions, SqliteStore};
use tally::{HASTY, NEGATIVE, PANICS, REFUSED, Sums, UNREADABLE, added, same, seen, sees};
use tempfile::TempDir;

/// A directory, and the options of a file in it.
fn fresh() -> (TempDir, SqliteOptions) {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("tally.db");
    // SQLite promises no turn to two who both write without a pause.
    let options = SqliteOptions::new(file).busy_timeout(Duration::from_secs(60));
    (dir, options)
}

async fn open(options: &SqliteOptions) -> SqliteStore {
    options.clone().inline(Sums::<1>).open().await.unwrap()
}

fn position(store: &SqliteStore) -> u64 {
    store.watch().borrow().get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_behind_the_answer_finds_the_effect() {
    let (_dir, options) = fresh();
    let stores = [open(&options).await, open(&options).await];
    let writers = (0..32_u64).map(|number| {
        let writer = stores[number as usize % 2].clone();
        let reader = stores[number as usize / 2 % 2].clone();
        tokio::spawn(async move {
            for turn in 0..20 {
                let appended = writer.append(added(number, &[turn, turn])).await.unwrap();
                for position in [appended.position.get() - 1, appended.position.get()] {
                    assert!(sees(reader.pool(), position).await, "{position}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(same(&stores[0]).await, 32 * 20 * 2);
}

#[tokio::test]
async fn a_rejected_append_leaves_no_trace() {
    let (_dir, options) = fresh();
    let store = open(&options).await;
    store.append(added(1, &[1, 2])).await.unwrap();
    let moved = Changes::new().put_if("one", Revision::new(7), "2");
    let moved = store.append(added(1, &[3]).with_changes(moved)).await;
    assert!(matches!(moved, Err(AppendError::Conflict(_))), "{moved:?}");
    let mut version = added(1, &[3]);
    version.streams[0].expected = ExpectedVersion::NoStream;
    let conflict = store.append(version).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict(_))),
        "{conflict:?}"
    );
    for (amount, why) in [
        (REFUSED, "it is rejected"),
        (PANICS, "it panics"),
        (UNREADABLE, "it panics when it is read"),
        (NEGATIVE, "CHECK constraint failed"),
    ] {
        let own = Changes::new().put("own", "1");
        let rejected = added(2, &[4, amount, 5]).with_changes(own);
        let Err(AppendError::Projection { name, error }) = store.append(rejected).await else {
            panic!("{why}: it is rejected")
        };
        assert_eq!(name, "sums");
        let error: &dyn std::error::Error = &*error;
        let chain = std::iter::successors(Some(error), |error| error.source());
        let text: Vec<String> = chain.map(ToString::to_string).collect();
        assert!(text.iter().any(|text| text.contains(why)), "{text:?}");
    }
    assert_eq!(same(&store).await, 2);
    let own = store.find_documents(&["own".to_owned()]).await.unwrap();
    assert_eq!(own, []);
    // And nothing is left that is in the way: another stream begins where the rejected one did not.
    store.append(added(3, &[4, 5])).await.unwrap();
    assert_eq!(same(&store).await, 4);
}

#[tokio::test]
async fn a_projection_that_fails_rejects_one_append_and_not_its_neighbours() {
    let (_dir, options) = fresh();
    let store = open(&options).await;
    for round in 0..3 {
        let appends = (0..64_u64).map(|number| {
            let amount = match number % 16 {
                3 => REFUSED,
                7 => UNREADABLE,
                11 => PANICS,
                _ => number,
            };
            let key = format!("own/{round}/{number}");
            let append = added(number, &[amount]).with_changes(Changes::new().put(key, "1"));
            let store = store.clone();
            tokio::spawn(async move { (amount, store.append(append).await) })
        });
        for append in appends.collect::<Vec<_>>() {
            match append.await.unwrap() {
                (0..64, Ok(_))
                | (REFUSED | PANICS | UNREADABLE, Err(AppendError::Projection { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(same(&store).await, (round + 1) * 52);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_projection_asks_and_does_not_wait_for_is_in_the_transaction() {
    let (_dir, options) = fresh();
    let store = open(&options).await;
    for turn in 0..200 {
        let amounts = [1, HASTY, 2, HASTY];
        let appended = store.append(added(turn % 7, &amounts)).await.unwrap();
        assert!(sees(store.pool(), appended.position.get()).await);
    }
    assert_eq!(seen(store.pool()).await.0, 800);
}

#[tokio::test]
async fn opening_builds_what_never_was() {
    let (_dir, options) = fresh();
    let bare = options.clone().open().await.unwrap();
    for stream in 0..5 {
        bare.append(added(stream, &[stream; 1_000])).await.unwrap();
    }
    let store = open(&options).await;
    assert_eq!(seen(store.pool()).await, (5_000, 10_000));
    assert_eq!(same(&store).await, 5_000);
    // It is there for everybody, and stays where it is for who does not know of it.
    bare.append(added(1, &[7, 8])).await.unwrap();
    assert_eq!(seen(bare.pool()).await, (5_000, 10_000));
    // The next append here catches up.
    store.append(added(2, &[9])).await.unwrap();
    assert_eq!(same(&store).await, 5_003);
    bare.append(added(1, &[7; 2_500])).await.unwrap();
    while seen(store.pool()).await.0 < 7_503 {
        store.append(added(2, &[9])).await.unwrap();
    }
    assert!(position(&store) < 7_510, "{}", position(&store));
    assert_eq!(same(&store).await as u64, position(&store));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_open_together_build_once() {
    let (_dir, options) = fresh();
    let bare = options.clone().open().await.unwrap();
    for stream in 0..3 {
        bare.append(added(stream, &[stream; 1_000])).await.unwrap();
    }
    let opening: Vec<_> = (0..10)
        .map(|_| {
            let options = options.clone();
            tokio::spawn(async move { open(&options).await })
        })
        .collect();
    for (number, opening) in (0..).zip(opening) {
        let store = opening.await.unwrap();
        assert!(sees(store.pool(), 3_000).await);
        let appended = store.append(added(number, &[1])).await.unwrap();
        assert!(sees(bare.pool(), appended.position.get()).await);
    }
    assert_eq!(same(&bare).await, 3_010);
}

#[tokio::test]
async fn what_cannot_be_built_is_not_opened() {
    let (_dir, options) = fresh();
    let bare = options.clone().open().await.unwrap();
    bare.append(added(1, &[1, REFUSED])).await.unwrap();
    let rejected = options.clone().inline(Sums::<1>).open().await;
    let Err(StoreError::Failed(error)) = rejected else {
        panic!("{rejected:?}")
    };
    let text = "the inline projection \"sums\" cannot be built";
    assert_eq!(error.to_string(), text);
    let twice = options.clone().inline(Sums::<1>).inline(Sums::<2>);
    let Err(StoreError::Failed(error)) = twice.open().await else {
        panic!("it is rejected")
    };
    let text = "two inline projections have the name \"sums\"";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_panic_while_what_others_have_stored_is_read_rejects_nobody() {
    let (_dir, options) = fresh();
    let bare = options.clone().open().await.unwrap();
    let store = open(&options).await;
    store.append(added(1, &[1])).await.unwrap();
    bare.append(added(1, &[1, UNREADABLE])).await.unwrap();
    for _ in 0..3 {
        store.append(added(1, &[1])).await.unwrap();
    }
    assert_eq!(seen(store.pool()).await, (1, 1));
}
