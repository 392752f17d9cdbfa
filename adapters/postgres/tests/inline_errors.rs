//! Inline projections that ignore errors, panic in unexpected places, or are rejected when the transaction ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tally.rs"]
mod adapter;
#[path = "support/server.rs"]
#[allow(dead_code, reason = "no test uses all items")]
mod server;
#[path = "../../../framework/sql/tests/shared/tally.rs"]
mod tally;

use std::error::Error;
use std::iter::successors;

use adapter::{DEADLOCKS, IGNORES, IGNORES_AND_BEGINS, NESTS, RAISES};
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::store::{Append, AppendError, EventStore as _, StoreError};
use factum_postgres::sqlx::{self, AssertSqlSafe};
use factum_postgres::{
    BoxError, PostgresOptions, PostgresStore, Sql, SqlError, SqlProject, SqlProjection,
};
use tally::{Sums, TallyEvent, UNDECODABLE, added, build, compare, totals};

async fn open(options: &PostgresOptions) -> PostgresStore {
    let store = options.clone().inline(Sums::<1>).open().await.unwrap();
    build::<1>(&store).await;
    store
}

async fn rejected(store: &PostgresStore, append: Append, why: &str) {
    let answer = store.append(append).await;
    let Err(AppendError::Projection { name, error }) = answer else {
        panic!("{why}: {answer:?}")
    };
    assert_eq!(name, "sums");
    let error: &dyn Error = &*error;
    let causes = successors(Some(error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    assert!(causes.iter().any(|cause| cause.contains(why)), "{causes:?}");
}

/// Creates a trigger that raises `errcode` for [`RAISES`] when the transaction ends.
async fn create_trigger(store: &PostgresStore, errcode: &str) {
    let trigger = format!(
        "create function raises() returns trigger language plpgsql as $$ begin
           if new.amount = {RAISES} then
             raise exception 'a rule is broken' using errcode = '{errcode}';
           end if;
           return new;
         end $$;
         create constraint trigger rule after insert on added__1 deferrable initially deferred
           for each row execute function raises()"
    );
    let trigger = sqlx::raw_sql(AssertSqlSafe(trigger));
    trigger.execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn transaction_begun_after_an_ignored_error_stays_inside() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        for amounts in [
            &[IGNORES_AND_BEGINS][..],
            &[1, IGNORES_AND_BEGINS, 2],
            &[IGNORES, NESTS],
            &[
                IGNORES_AND_BEGINS,
                IGNORES_AND_BEGINS,
                IGNORES_AND_BEGINS,
                IGNORES_AND_BEGINS,
                NESTS,
                2,
            ],
        ] {
            rejected(
                &store,
                added(1, amounts),
                "ignored an error of the database",
            )
            .await;
            assert_eq!(compare(&store).await, round * 2);
        }
        store.append(added(1, &[NESTS])).await.unwrap();
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(compare(&store).await, round * 2 + 2);
    }
}

#[tokio::test]
async fn stored_event_with_an_ignored_error_rejects_no_append() {
    for amounts in [
        &[IGNORES, NESTS][..],
        &[IGNORES_AND_BEGINS],
        &[1, IGNORES_AND_BEGINS, 2],
        &[1, UNDECODABLE],
    ] {
        let Some(options) = server::fresh() else {
            return;
        };
        let store = open(&options).await;
        store.append(added(1, &[1])).await.unwrap();
        let bare = options.clone().open().await.unwrap();
        bare.append(added(1, amounts)).await.unwrap();
        for _ in 0..3 {
            store.append(added(1, &[1])).await.unwrap();
        }
        assert_eq!(totals(&store).await, (1, 1), "{amounts:?}");
    }
}

#[tokio::test]
async fn panic_while_an_event_is_decoded_rejects_its_append() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        let unreadable = added(1, &[1, UNDECODABLE]);
        rejected(&store, unreadable, "it panics while it is decoded").await;
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(compare(&store).await, round + 1);
    }
}

/// Panics while it creates its tables.
#[derive(Projection)]
#[projection(name = "tableless", events = TallyEvent)]
struct Tableless;

impl SqlProjection for Tableless {
    async fn create(&self, _: &mut Sql<'_>) -> Result<(), SqlError> {
        panic!("it has no tables")
    }
}

impl SqlProject<TallyEvent> for Tableless {
    async fn project(&self, _: &Recorded<TallyEvent>, _: &mut Sql<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn panic_while_tables_are_created_rejects_no_append() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.inline(Tableless).open().await.unwrap();
    let engine = Engine::new(store.clone());
    let runtime = Runtime::builder(&engine)
        .projection(store.read_model(Tableless))
        .retry(RetryPolicy {
            attempts: 1,
            ..RetryPolicy::default()
        })
        .start()
        .await
        .unwrap();
    store.append(added(1, &[1])).await.unwrap();
    let error = runtime.wait_for(1_u64.into()).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("panicked: it has no tables"), "{error}");
    runtime.stop().await;
}

#[tokio::test]
async fn deadlock_in_a_wrapped_error_is_transient() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        let answer = store.append(added(1, &[1, DEADLOCKS])).await;
        let Err(AppendError::Store(StoreError::Unavailable(_))) = answer else {
            panic!("{answer:?}")
        };
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(compare(&store).await, round + 1);
    }
}

#[tokio::test]
async fn trigger_at_commit_rejects_one_append() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    create_trigger(&store, "P0001").await;
    for round in 0..3 {
        let appends = (0..32_u64).map(|number| {
            let store = store.clone();
            let amount = if number % 16 == 5 { RAISES } else { number };
            tokio::spawn(async move {
                match amount {
                    RAISES => rejected(&store, added(number, &[RAISES]), "a rule is broken").await,
                    amount => drop(store.append(added(number, &[amount])).await.unwrap()),
                }
            })
        });
        for append in appends.collect::<Vec<_>>() {
            append.await.unwrap();
        }
        assert_eq!(compare(&store).await, (round + 1) * 30);
    }
}

#[tokio::test]
async fn transaction_ended_by_the_server_is_unavailable() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    // The code with which the server ends an idle transaction.
    create_trigger(&store, "25P03").await;
    for round in 0..3 {
        let answer = store.append(added(1, &[RAISES])).await;
        let Err(AppendError::Store(StoreError::Unavailable(_))) = answer else {
            panic!("{answer:?}")
        };
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(compare(&store).await, round + 1);
    }
}
