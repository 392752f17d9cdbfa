//! Inline projections that ignore an error, panic, or are rejected at the end of the transaction.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;
#[path = "support/tally.rs"]
mod tally;

use std::error::Error;
use std::iter::successors;

use factum::prelude::*;
use factum::projections::table;
use factum::{Append, AppendError, EventStore as _, StoreError, async_trait};
use factum_postgres::sqlx::{self, AssertSqlSafe};
use factum_postgres::{
    BoxError, PostgresOptions, PostgresProject, PostgresProjection, PostgresStore, Tables,
};
use tally::{
    BLUNDERS, DEADLOCKS, IGNORES, NESTS, RAISES, Sums, TallyEvent, UNREADABLE, added, same, seen,
};

async fn open(options: &PostgresOptions) -> PostgresStore {
    options.clone().inline(Sums::<1>).open().await.unwrap()
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

/// From now on `errcode` is raised behind [`RAISES`], when the transaction ends.
async fn rule(store: &PostgresStore, errcode: &str) {
    let rule = format!(
        "create function raises() returns trigger language plpgsql as $$ begin
           if new.amount = {RAISES} then
             raise exception 'a rule is broken' using errcode = '{errcode}';
           end if;
           return new;
         end $$;
         create constraint trigger rule after insert on {} deferrable initially deferred
           for each row execute function raises()",
        table("added", 1)
    );
    let rule = sqlx::raw_sql(AssertSqlSafe(rule));
    rule.execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn what_is_begun_behind_an_ignored_error_does_not_leave_the_transaction() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        for amounts in [
            &[BLUNDERS][..],
            &[1, BLUNDERS, 2],
            &[IGNORES, NESTS],
            &[BLUNDERS, BLUNDERS, BLUNDERS, BLUNDERS, NESTS, 2],
        ] {
            rejected(
                &store,
                added(1, amounts),
                "ignored an error of the database",
            )
            .await;
            assert_eq!(same(&store).await, round * 2);
        }
        // The first looks at the documents, the second does not.
        store.append(added(1, &[NESTS])).await.unwrap();
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(same(&store).await, round * 2 + 2);
    }
}

#[tokio::test]
async fn who_ignored_an_error_behind_the_head_rests_and_nobody_is_rejected() {
    for amounts in [
        &[IGNORES, NESTS][..],
        &[BLUNDERS],
        &[1, BLUNDERS, 2],
        &[1, UNREADABLE],
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
        assert_eq!(seen(store.pool()).await, (1, 1), "{amounts:?}");
        let Err(StoreError::Failed(error)) = options.clone().inline(Sums::<2>).open().await else {
            panic!("{amounts:?}: it cannot be built")
        };
        let cause = error.source().unwrap().to_string();
        let why = match amounts {
            [_, UNREADABLE] => "panicked: it panics when it is read",
            _ => "ignored an error",
        };
        assert!(cause.contains(why), "{cause}");
    }
}

#[tokio::test]
async fn a_panic_while_an_event_is_read_rejects_its_append_alone() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    for round in 0..3 {
        let unreadable = added(1, &[1, UNREADABLE]);
        rejected(&store, unreadable, "it panics when it is read").await;
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(same(&store).await, round + 1);
    }
}

/// Panics where it is to make its tables.
#[derive(Projection)]
#[projection(name = "tableless", events = TallyEvent)]
struct Tableless;

#[async_trait]
impl PostgresProjection for Tableless {
    async fn create(&self, _: &mut Tables<'_>) -> Result<(), sqlx::Error> {
        panic!("it has no tables")
    }
}

#[async_trait]
impl PostgresProject<TallyEvent> for Tableless {
    async fn project(&self, _: &Recorded<TallyEvent>, _: &mut Tables<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_while_tables_are_created_is_an_error_of_who_opens() {
    let Some(options) = server::fresh() else {
        return;
    };
    let opened = options.clone().inline(Tableless).open().await;
    let Err(StoreError::Failed(error)) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!(error.to_string(), "panicked: it has no tables");
}

#[tokio::test]
async fn a_deadlock_that_a_projection_tells_of_in_its_own_words_is_no_fault_of_the_event() {
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
        assert_eq!(same(&store).await, round + 1);
    }
}

#[tokio::test]
async fn what_a_rule_raises_when_the_transaction_ends_rejects_one_append_and_not_its_neighbours() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    rule(&store, "P0001").await;
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
        assert_eq!(same(&store).await, (round + 1) * 30);
    }
}

#[tokio::test]
async fn a_transaction_that_the_server_ends_for_its_silence_takes_the_connection_along() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = open(&options).await;
    // What the server says when it ends one: it cannot be had in time for the commit alone.
    rule(&store, "25P03").await;
    for round in 0..3 {
        let answer = store.append(added(1, &[RAISES])).await;
        let Err(AppendError::Store(StoreError::Unavailable(_))) = answer else {
            panic!("{answer:?}")
        };
        store.append(added(1, &[1])).await.unwrap();
        assert_eq!(same(&store).await, round + 1);
    }
}
