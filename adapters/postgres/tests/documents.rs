//! Tests of documents that change together with events, in batches and in concurrent transactions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, AppendError, Appended, ContentType, EventStore as _, ExpectedVersion, NewEvent,
    Violation,
};
use factum::store::{DocumentChanges, DocumentStore as _, Revision, Scan};
use factum_postgres::{PostgresStore, sqlx};
use uuid::Uuid;

const APPENDS: u64 = 64;

fn noted(stream: u64, changes: DocumentChanges) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: "account.noted".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    let stream = format!("account-{stream}").parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, vec![event]).with_changes(changes)
}

/// Sends appends at the same time, and returns their results.
async fn append_concurrently(
    store: &PostgresStore,
    changes: impl Fn(u64) -> DocumentChanges,
) -> Vec<Result<Appended, AppendError>> {
    let appends = (0..APPENDS).map(|number| {
        let (store, append) = (store.clone(), noted(number, changes(number)));
        tokio::spawn(async move { store.append(append).await })
    });
    let mut results = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        results.push(append.await.unwrap());
    }
    results
}

/// Returns the number of transactions that stored the events after `position`.
async fn transactions(store: &PostgresStore, position: u64) -> i64 {
    let sql = "select count(distinct xmin::text) from event where position > $1";
    let counted = sqlx::query_scalar(sql).bind(position as i64);
    counted.fetch_one(store.pool()).await.unwrap()
}

async fn documents(store: &PostgresStore) -> usize {
    let found = store.scan_documents(Scan::prefix("")).await;
    found.unwrap().len()
}

#[tokio::test]
async fn appends_that_change_documents_share_a_transaction() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let lease = DocumentChanges::new().put("lease", "1");
    let lease = store.change_documents(lease).await.unwrap();
    // The database checks the first round, the writer the others.
    for round in 0..3 {
        let own = |number| {
            let key = format!("own/{round}/{number}");
            DocumentChanges::new().put(key, "1").require("lease", lease)
        };
        for result in append_concurrently(&store, own).await {
            result.unwrap();
        }
        assert_eq!(documents(&store).await as u64, 1 + (round + 1) * APPENDS);
        let transactions = transactions(&store, round * APPENDS).await;
        assert!(transactions <= 4, "round {round}: {transactions}");
    }
}

#[tokio::test]
async fn document_conflict_keeps_the_other_appends_together() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let moved = store.change_documents(DocumentChanges::new().put("moved", "1"));
    let moved = moved.await.unwrap();
    let wrong = Revision::new(moved.get() + 1_000);
    for round in 0..3 {
        let before = store.watch().borrow().get();
        let changes = |number| match number % 4 {
            1 => DocumentChanges::new()
                .put(format!("never/{number}"), "1")
                .require("moved", wrong),
            2 => DocumentChanges::new().require("moved", moved),
            _ => DocumentChanges::new().put(format!("own/{round}/{number}"), "1"),
        };
        let violations = [Violation::Document {
            key: "moved".to_owned(),
            expected: wrong,
            actual: moved,
        }];
        for (number, result) in (0..).zip(append_concurrently(&store, changes).await) {
            match result {
                Ok(_) => assert_ne!(number % 4, 1),
                Err(AppendError::Conflict(conflict)) => {
                    assert_eq!(number % 4, 1);
                    assert_eq!(conflict.violations, violations);
                }
                Err(error) => panic!("{number}: {error:?}"),
            }
        }
        assert_eq!(store.watch().borrow().get(), before + APPENDS * 3 / 4);
        let transactions = transactions(&store, before).await;
        assert!(transactions <= 4, "round {round}: {transactions}");
    }
    let own = APPENDS / 2 * 3;
    assert_eq!(documents(&store).await as u64, 1 + own);
}

#[tokio::test]
async fn concurrently_created_document_is_a_conflict() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let mut other = store.pool().begin().await.unwrap();
    let sql = "insert into document (key, revision, value) values ('one', nextval('revision'), '1')
               returning revision";
    let created: i64 = sqlx::query_scalar(sql)
        .fetch_one(&mut *other)
        .await
        .unwrap();
    let appends = {
        let store = store.clone();
        tokio::spawn(async move {
            append_concurrently(&store, |number| match number {
                7 => DocumentChanges::new().put_if("one", Revision::ABSENT, "2"),
                _ => DocumentChanges::new().put_if(format!("own/{number}"), Revision::ABSENT, "2"),
            })
            .await
        })
    };
    let waiting = "select exists (select from pg_locks l join pg_stat_activity a using (pid)
                                where not l.granted and a.application_name = $1)";
    let name = store.pool().connect_options();
    let name = name.get_application_name().unwrap();
    while !sqlx::query_scalar::<_, bool>(waiting)
        .bind(name)
        .fetch_one(store.pool())
        .await
        .unwrap()
    {
        tokio::task::yield_now().await;
    }
    other.commit().await.unwrap();
    for (number, result) in (0..).zip(appends.await.unwrap()) {
        match result {
            Ok(_) => assert_ne!(number, 7),
            Err(AppendError::Conflict(conflict)) => {
                assert_eq!(number, 7);
                let violation = Violation::Document {
                    key: "one".to_owned(),
                    expected: Revision::ABSENT,
                    actual: Revision::new(created as u64),
                };
                assert_eq!(conflict.violations, [violation]);
            }
            Err(error) => panic!("{number}: {error:?}"),
        }
    }
    assert_eq!(documents(&store).await as u64, APPENDS);
    assert_eq!(store.watch().borrow().get(), APPENDS - 1);
}
