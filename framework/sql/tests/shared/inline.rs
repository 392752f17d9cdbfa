//! Inline projections: an append and its effect are one transaction.
//!
//! The crate that includes it has a module `adapter` with `Options`, `Store` and `fresh`, which returns the options of an
//! empty database, or `None`. `REJECTIONS` lists amounts that the projection rejects; `THIRD` is one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::ConsumerState;
use factum::store::{
    AppendError, DocumentChanges, DocumentStore as _, EventStore as _, ExpectedVersion, Revision,
};
use factum_sql::{BoxError, Sql, SqlError, SqlProject, SqlProjection};
use tokio::task::JoinHandle;

use crate::adapter::{Options, REJECTIONS, Store, THIRD, check_transactions, fresh, tables};
use crate::tally::{
    PANICS, REJECTED, Sums, TallyEvent, UNDECODABLE, added, build, compare, has_effect, run, totals,
};

/// Opens a store whose appends update the projection, which has been built.
async fn open(options: &Options) -> Store {
    let store = open_unbuilt(options).await;
    build::<1>(&store).await;
    store
}

async fn open_unbuilt(options: &Options) -> Store {
    options.clone().inline(Sums::<1>).open().await.unwrap()
}

fn head(store: &Store) -> u64 {
    store.watch().borrow().get()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_after_an_append_finds_its_effect() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let stores = [open(&options).await, open_unbuilt(&options).await];
    let writers = (0..32_u64).map(|number| {
        let writer = stores[number as usize % 2].clone();
        let reader = stores[number as usize / 2 % 2].clone();
        tokio::spawn(async move {
            for turn in 0..20 {
                let appended = writer.append(added(number, &[turn, turn])).await.unwrap();
                for position in [appended.position.get() - 1, appended.position.get()] {
                    assert!(has_effect(&reader, position).await, "{position}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(compare(&stores[0]).await, 32 * 20 * 2);
}

/// The node may not have acquired the lease yet.
#[tokio::test(flavor = "multi_thread")]
async fn first_append_after_the_first_build_has_its_effect() {
    for round in 0..20 {
        let Some((_dir, options)) = fresh() else {
            return;
        };
        let store = open_unbuilt(&options).await;
        let engine = Engine::new(store.clone());
        let builder = Runtime::builder(&engine).projection(store.read_model(Sums::<1>));
        let runtime = builder.start().await.unwrap();
        let sums = runtime.projection_named("sums").unwrap();
        sums.wait_until_current().await.unwrap();
        let appended = store.append(added(1, &[1])).await.unwrap();
        assert!(has_effect(&store, appended.position.get()).await, "{round}");
        runtime.stop().await;
        store.close().await;
    }
}

#[tokio::test]
async fn rejected_append_leaves_no_trace() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = open(&options).await;
    store.append(added(1, &[1, 2])).await.unwrap();
    let moved = DocumentChanges::new().put_if("one", Revision::new(7), "2");
    let moved = store.append(added(1, &[3]).with_changes(moved)).await;
    assert!(matches!(moved, Err(AppendError::Conflict(_))), "{moved:?}");
    let mut version = added(1, &[3]);
    version.streams[0].expected = ExpectedVersion::NoStream;
    let conflict = store.append(version).await;
    assert!(
        matches!(conflict, Err(AppendError::Conflict(_))),
        "{conflict:?}"
    );
    for (amount, why) in REJECTIONS {
        let own = DocumentChanges::new().put("own", "1");
        let rejected = added(2, &[4, *amount, 5]).with_changes(own);
        let Err(AppendError::Projection { name, error }) = store.append(rejected).await else {
            panic!("{why}: it is rejected")
        };
        assert_eq!(name, "sums", "{why}");
        let error: &dyn std::error::Error = &*error;
        let chain = std::iter::successors(Some(error), |error| error.source());
        let text: Vec<String> = chain.map(ToString::to_string).collect();
        assert!(text.iter().any(|text| text.contains(why)), "{text:?}");
    }
    assert_eq!(compare(&store).await, 2);
    let own = store.find_documents(&["own".to_owned()]).await.unwrap();
    assert_eq!(own, []);
    // Another stream begins where the rejected one did not.
    store.append(added(3, &[4, 5])).await.unwrap();
    assert_eq!(compare(&store).await, 4);
}

#[tokio::test]
async fn failure_rejects_one_append_and_not_its_neighbours() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        let appends = (0..64_u64).map(|number| {
            let amount = match number % 16 {
                3 => REJECTED,
                7 => THIRD,
                11 => PANICS,
                _ => number,
            };
            let key = format!("own/{round}/{number}");
            let append =
                added(number, &[amount]).with_changes(DocumentChanges::new().put(key, "1"));
            let store = store.clone();
            tokio::spawn(async move { (amount, store.append(append).await) })
        });
        for append in appends.collect::<Vec<_>>() {
            match append.await.unwrap() {
                (0..64, Ok(_))
                | (REJECTED | PANICS | THIRD, Err(AppendError::Projection { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(compare(&store).await, (round + 1) * 52);
        check_transactions(&store, round as i64 * 52).await;
    }
}

#[tokio::test]
async fn appends_leave_an_unbuilt_projection_to_the_runtime() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = open_unbuilt(&options).await;
    for stream in 0..5 {
        store.append(added(stream, &[stream; 1_000])).await.unwrap();
    }
    let runtime = run::<1>(&store).await;
    assert_eq!(totals(&store).await, (5_000, 10_000));
    assert_eq!(compare(&store).await, 5_000);
    runtime.stop().await;
    // A store without the projection does not update the table.
    let bare = options.clone().open().await.unwrap();
    bare.append(added(1, &[7, 8])).await.unwrap();
    assert_eq!(totals(&bare).await, (5_000, 10_000));
    // The next append with it catches up.
    store.append(added(2, &[9])).await.unwrap();
    assert_eq!(compare(&store).await, 5_003);
    // It does not if more than a page is missing.
    bare.append(added(1, &[7; 2_500])).await.unwrap();
    store.append(added(2, &[9])).await.unwrap();
    assert_eq!(totals(&store).await.0, 5_003);
    let runtime = run::<1>(&store).await;
    assert_eq!(compare(&store).await, 7_504);
    store.append(added(2, &[9])).await.unwrap();
    assert_eq!(compare(&store).await as u64, head(&store));
    runtime.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_nodes_that_start_together_build_once() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let bare = options.clone().open().await.unwrap();
    for stream in 0..3 {
        bare.append(added(stream, &[stream; 1_000])).await.unwrap();
    }
    let starting: Vec<_> = (0..10)
        .map(|_| {
            let options = options.clone();
            tokio::spawn(async move {
                let store = open_unbuilt(&options).await;
                let engine = Engine::new(store.clone());
                let builder = Runtime::builder(&engine).projection(store.read_model(Sums::<1>));
                let runtime = builder.start().await.unwrap();
                runtime.wait_for(3_000_u64.into()).await.unwrap();
                (store, runtime)
            })
        })
        .collect();
    let mut runtimes = Vec::new();
    for (number, starting) in (0..).zip(starting) {
        let (store, runtime) = starting.await.unwrap();
        assert!(has_effect(&store, 3_000).await);
        let appended = store.append(added(number, &[1])).await.unwrap();
        assert!(has_effect(&bare, appended.position.get()).await);
        runtimes.push(runtime);
    }
    for runtime in runtimes {
        runtime.stop().await;
    }
    assert_eq!(compare(&bare).await, 3_010);
    assert_eq!(tables(&bare).await, ["added__1"]);
}

#[tokio::test]
async fn two_inline_projections_need_different_names() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let twice = options.inline(Sums::<1>).inline(Sums::<2>);
    let rejected = twice.open().await.unwrap_err();
    let text = "cannot open the store: two inline projections have the name \"sums\"; rename one";
    assert_eq!(rejected.to_string(), text);
}

#[tokio::test]
async fn appends_leave_a_projection_with_dead_letters_alone() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let bare = options.clone().open().await.unwrap();
    bare.append(added(1, &[1, REJECTED])).await.unwrap();
    let store = open_unbuilt(&options).await;
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(Sums::<1>))
        .retry(RetryPolicy {
            attempts: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
        })
        .start()
        .await
        .unwrap();
    runtime.wait_for(2_u64.into()).await.unwrap();
    let sums = runtime.projection_named("sums").unwrap();
    assert_eq!(sums.status().dead_letters, 1);
    // An event that would be rejected does not reject its append.
    let last = store.append(added(2, &[5, PANICS])).await.unwrap();
    runtime.wait_for(last.position).await.unwrap();
    assert_eq!(totals(&store).await, (2, 6));
    for position in [2_u64, 4] {
        sums.discard(position.into(), "a test").await.unwrap();
    }
    let mut status = sums.watch();
    let resolved = status.wait_for(|status| status.dead_letters == 0);
    resolved.await.unwrap();
    // Appends update it again.
    let appended = store.append(added(2, &[7])).await.unwrap();
    assert!(has_effect(&store, appended.position.get()).await);
    let rejected = store.append(added(2, &[PANICS])).await;
    assert!(
        matches!(rejected, Err(AppendError::Projection { .. })),
        "{rejected:?}"
    );
    runtime.stop().await;
}

#[tokio::test]
async fn stored_event_that_fails_rejects_no_append() {
    for amounts in [
        &[1, UNDECODABLE][..],
        &[1, PANICS, 2],
        &[REJECTED],
        &[1, THIRD, 2],
    ] {
        let Some((_dir, options)) = fresh() else {
            return;
        };
        let bare = options.clone().open().await.unwrap();
        let store = open(&options).await;
        store.append(added(1, &[1])).await.unwrap();
        bare.append(added(1, amounts)).await.unwrap();
        for _ in 0..3 {
            store.append(added(1, &[1])).await.unwrap();
        }
        assert_eq!(totals(&store).await, (1, 1), "{amounts:?}");
    }
}

/// Runs after the sums, and only checks that the transaction still accepts statements.
#[derive(Projection)]
#[projection(name = "zero", events = TallyEvent)]
struct Zero;

impl SqlProjection for Zero {
    async fn create(&self, db: &mut Sql<'_>) -> Result<(), SqlError> {
        db.execute("create table if not exists {zero} (number bigint)")
            .await
    }
}

impl SqlProject<TallyEvent> for Zero {
    async fn project(&self, _: &Recorded<TallyEvent>, db: &mut Sql<'_>) -> Result<(), BoxError> {
        db.query("delete from {zero}").execute().await?;
        Ok(())
    }
}

#[tokio::test]
async fn projection_that_fails_is_named() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let both = options.inline(Zero).inline(Sums::<1>);
    let store = both.open().await.unwrap();
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine).projection(store.read_model(Zero));
    let runtime = runtime.start().await.unwrap();
    build::<1>(&store).await;
    for round in 1..=4 {
        for amounts in [&[1, THIRD][..], &[THIRD, 1]] {
            let rejected = store.append(added(1, amounts)).await;
            let Err(AppendError::Projection { name, .. }) = rejected else {
                panic!("{rejected:?}")
            };
            assert_eq!(name, "sums");
        }
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(compare(&store).await, round);
    }
    runtime.stop().await;
}

/// Appends one amount after the other, and finds each at once.
fn write(store: &Store, stream: u64, end: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let (store, end) = (store.clone(), end.clone());
    tokio::spawn(async move {
        let mut written = 0;
        while !end.load(SeqCst) {
            let appended = store.append(added(stream, &[1])).await.unwrap();
            let position = appended.position.get();
            assert!(has_effect(&store, position).await, "{position}");
            written += 1;
        }
        written
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn new_version_is_built_and_no_reader_sees_a_part() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let old = open(&options).await;
    for stream in 0..3 {
        old.append(added(stream, &[1; 1_000])).await.unwrap();
    }
    let end: Arc<AtomicBool> = Arc::default();
    let reader = {
        let (store, end) = (old.clone(), end.clone());
        tokio::spawn(async move {
            let mut factors = Vec::new();
            while !end.load(SeqCst) {
                let (count, sum) = totals(&store).await;
                assert_eq!(count, 3_000);
                factors.push(sum / 3_000);
                assert_eq!(sum % 3_000, 0);
            }
            factors
        })
    };
    let new = options.clone().inline(Sums::<2>).open().await.unwrap();
    build::<2>(&new).await;
    assert_eq!(totals(&new).await, (3_000, 6_000));
    end.store(true, SeqCst);
    let mut factors = reader.await.unwrap();
    factors.dedup();
    assert!(matches!(factors[..], [] | [1 | 2] | [1, 2]), "{factors:?}");
    new.append(added(1, &[1])).await.unwrap();
    assert_eq!(totals(&old).await, (3_001, 6_002));
    // The old code updates its own build, which is not active any more.
    old.append(added(1, &[1])).await.unwrap();
    assert_eq!(totals(&old).await, (3_001, 6_002));
    new.append(added(1, &[1])).await.unwrap();
    assert_eq!(totals(&old).await, (3_003, 6_006));
}

#[tokio::test(flavor = "multi_thread")]
async fn runtime_beside_appends_reports_and_rebuilds() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let (store, other) = (open(&options).await, open_unbuilt(&options).await);
    let runtime = run::<1>(&store).await;
    let sums = runtime.projection_named("sums").unwrap();
    let end: Arc<AtomicBool> = Arc::default();
    let writers: Vec<_> = (0..8)
        .map(|number| write([&store, &other][number as usize % 2], number, &end))
        .collect();
    let mut status = sums.watch();
    let live = status.wait_for(|status| status.state == ConsumerState::Live);
    assert_eq!(live.await.unwrap().build, 1);
    sums.rebuild().await.unwrap();
    let rebuilt = status.wait_for(|status| status.build == 2);
    rebuilt.await.unwrap();
    let position = head(&store);
    let mut watch = store.watch();
    let further = watch.wait_for(|now| now.get() > position + 100);
    further.await.unwrap();
    end.store(true, SeqCst);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let last = *store.watch().borrow();
    runtime.wait_for(last).await.unwrap();
    let status = &runtime.status()[0];
    assert_eq!(status.dead_letters, 0);
    assert_eq!(status.last_error, None);
    assert_eq!(compare(&store).await as u64, written);
    runtime.stop().await;
    store.append(added(1, &[1])).await.unwrap();
    assert_eq!(compare(&other).await as u64, written + 1);
}

#[tokio::test]
async fn projection_becomes_inline_and_ordinary_again() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    for round in 0..3_u64 {
        let bare = options.clone().open().await.unwrap();
        let last = bare.append(added(1, &[round; 100])).await.unwrap().position;
        let runtime = run::<1>(&bare).await;
        runtime.wait_for(last).await.unwrap();
        runtime.stop().await;
        let store = open_unbuilt(&options).await;
        store.append(added(1, &[round; 100])).await.unwrap();
        assert_eq!(compare(&store).await as u64, (round + 1) * 200);
        assert_eq!(tables(&store).await, ["added__1"]);
    }
}

#[tokio::test]
async fn pause_counts_from_the_next_append() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = open(&options).await;
    for _ in 0..3 {
        store.append(added(1, &[1])).await.unwrap();
    }
    let elsewhere = options.clone().open().await.unwrap();
    let runtime = run::<1>(&elsewhere).await;
    let sums = runtime.projection_named("sums").unwrap();
    sums.pause().await.unwrap();
    store.append(added(1, &[1])).await.unwrap();
    assert_eq!(totals(&store).await, (3, 3));
    sums.resume().await.unwrap();
    runtime.stop().await;
    for _ in 0..3 {
        let appended = store.append(added(1, &[1])).await.unwrap();
        assert!(has_effect(&store, appended.position.get()).await);
    }
    assert_eq!(compare(&store).await, 7);
}

#[tokio::test]
async fn append_may_change_the_documents_of_a_projection() {
    let Some((_dir, options)) = fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 1..=4 {
        let control = store.find_documents(&["consumer/sums".to_owned()]).await;
        let [control] = &control.unwrap()[..] else {
            panic!("no control document")
        };
        let same_again =
            DocumentChanges::new().put_if(&control.key, control.revision, &control.value);
        let append = added(1, &[1, 2]).with_changes(same_again);
        store.append(append).await.unwrap();
        let required = DocumentChanges::new().require(&control.key, control.revision);
        let late = store.append(added(1, &[3]).with_changes(required)).await;
        assert!(matches!(late, Err(AppendError::Conflict(_))), "{late:?}");
        assert_eq!(compare(&store).await, 2 * round);
    }
}
