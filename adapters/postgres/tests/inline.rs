//! Inline projections: what is appended and its effect are one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;
#[path = "support/tally.rs"]
mod tally;

use factum::store::{Changes, DocumentStore as _, Revision};
use factum::prelude::*;
use factum::async_trait;
use factum::store::{AppendError, EventStore as _, ExpectedVersion, StoreError};
use factum_postgres::{
    BoxError, PostgresOptions, PostgresProject, PostgresProjection, PostgresStore, Tables, sqlx,
};
use tally::{
    IGNORES, KILLS, NEGATIVE, ONCE, PANICS, REFUSED, Sums, TallyEvent, added, same, seen, sees,
};

async fn open(options: &PostgresOptions) -> PostgresStore {
    options.clone().inline(Sums::<1>).open().await.unwrap()
}

fn position(store: &PostgresStore) -> u64 {
    store.watch().borrow().get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_behind_the_answer_finds_the_effect() {
    let Some(options) = server::fresh() else {
        return;
    };
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
    let Some(options) = server::fresh() else {
        return;
    };
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
    store.append(added(1, &[ONCE])).await.unwrap();
    for (amount, why) in [
        (ONCE, "violates unique constraint"),
        (REFUSED, "it is rejected"),
        (PANICS, "it panics"),
        (NEGATIVE, "violates check constraint"),
        (IGNORES, "ignored an error of the database"),
    ] {
        let own = Changes::new().put("own", "1");
        let rejected = added(2, &[4, amount, 5]).with_changes(own);
        let Err(AppendError::Projection { name, error }) = store.append(rejected).await else {
            panic!("{why}: it is rejected")
        };
        assert_eq!(name, "sums", "{why}");
        let error: &dyn std::error::Error = &*error;
        let chain = std::iter::successors(Some(error), |error| error.source());
        let text: Vec<String> = chain.map(ToString::to_string).collect();
        assert!(text.iter().any(|text| text.contains(why)), "{text:?}");
    }
    assert_eq!(same(&store).await, 3);
    let own = store.find_documents(&["own".to_owned()]).await.unwrap();
    assert_eq!(own, []);
    // And nothing is left that is in the way: another stream begins where the rejected one did not.
    store.append(added(3, &[4, 5])).await.unwrap();
    assert_eq!(same(&store).await, 5);
}

/// Comes behind the sums, and asks nothing but whether it is still answered.
#[derive(Projection)]
#[projection(name = "zero", events = TallyEvent)]
struct Zero;

#[async_trait]
impl PostgresProjection for Zero {
    async fn create(&self, db: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        let sql = db.sql("create table if not exists {zero} (number bigint)");
        sqlx::query(sql).execute(&mut **db).await.map(drop)
    }
}

#[async_trait]
impl PostgresProject<TallyEvent> for Zero {
    async fn project(&self, _: &Recorded<TallyEvent>, db: &mut Tables<'_>) -> Result<(), BoxError> {
        let sql = db.sql("delete from {zero}");
        Ok(sqlx::query(sql).execute(&mut **db).await.map(drop)?)
    }
}

#[tokio::test]
async fn who_ignores_an_error_is_named_and_nobody_else() {
    let Some(options) = server::fresh() else {
        return;
    };
    let bare = options.clone().open().await.unwrap();
    let both = options.clone().inline(Zero).inline(Sums::<1>);
    let store = both.open().await.unwrap();
    for round in 1..=4 {
        for amounts in [&[1, IGNORES][..], &[IGNORES, 1]] {
            let Err(AppendError::Projection { name, error }) =
                store.append(added(1, amounts)).await
            else {
                panic!("it is rejected")
            };
            assert_eq!(name, "sums");
            assert!(error.to_string().contains("ignored an error"), "{error}");
        }
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(same(&store).await, round);
    }
    // Where others have stored it, nobody is rejected: that projection is left behind.
    bare.append(added(1, &[IGNORES])).await.unwrap();
    for _ in 0..3 {
        store.append(added(1, &[1])).await.unwrap();
    }
    assert_eq!(seen(store.pool()).await.0, 4);
    let Err(StoreError::Failed(error)) = options.clone().inline(Sums::<2>).open().await else {
        panic!("it cannot be built")
    };
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("ignored an error"), "{cause}");
}

#[tokio::test]
async fn a_projection_that_fails_rejects_one_append_and_not_its_neighbours() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        let appends = (0..64_u64).map(|number| {
            let amount = match number % 16 {
                3 => REFUSED,
                7 => IGNORES,
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
                | (REFUSED | PANICS | IGNORES, Err(AppendError::Projection { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(same(&store).await, (round + 1) * 52);
        let sql = "select count(distinct xmin::text) from event where position > $1";
        let transactions: i64 = sqlx::query_scalar(sql)
            .bind(round as i64 * 52)
            .fetch_one(store.pool())
            .await
            .unwrap();
        assert!(transactions <= 8, "round {round}: {transactions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_under_a_projection_leaves_no_trace() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    let mut stored = 0;
    for round in 0..4 {
        let appends = (0..16_u64).map(|number| {
            let amount = if number == 5 { KILLS } else { number };
            let store = store.clone();
            tokio::spawn(async move { store.append(added(number, &[amount])).await })
        });
        for (number, append) in (0..).zip(appends.collect::<Vec<_>>()) {
            match append.await.unwrap() {
                Ok(_) => stored += 1,
                Err(AppendError::Store(StoreError::Unavailable(_))) => {}
                Err(error) => panic!("round {round}, {number}: {error:?}"),
            }
        }
        assert_eq!(same(&store).await, stored);
        store.append(added(99, &[1])).await.unwrap();
        stored += 1;
        assert_eq!(same(&store).await, stored);
    }
}

#[tokio::test]
async fn opening_builds_what_never_was() {
    let Some(options) = server::fresh() else {
        return;
    };
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
    let Some(options) = server::fresh() else {
        return;
    };
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
    let Some(options) = server::fresh() else {
        return;
    };
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
