//! Connections that break at the worst moment: the store finds out what became of the appends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::document::{Changes, DocumentStore as _, Scan};
use factum::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, Metadata, NewEvent, Query,
    Read, StoreError,
};
use factum_postgres::{PgPool, PostgresStore};
use proxy::{Cut, Proxy};
use uuid::Uuid;

fn noted(stream: &str, expected: ExpectedVersion) -> Append {
    let event = || NewEvent {
        id: Uuid::now_v7(),
        name: "account.noted".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: vec![],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    Append::stream(stream.parse().unwrap(), expected, vec![event(), event()])
}

async fn open() -> Option<(Proxy, PostgresStore)> {
    let (server, options) = server::behind()?;
    let (proxy, way) = Proxy::before(server, "account.noted").await;
    Some((proxy, options(way).open().await.unwrap()))
}

/// What is stored, by stream and version.
async fn stored(store: &PostgresStore) -> Vec<String> {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    let events = page.events.iter();
    events
        .map(|event| format!("{} {}", event.stream, event.version))
        .collect()
}

#[tokio::test]
async fn an_answer_that_is_lost_behind_the_commit_is_given_all_the_same() {
    let Some((proxy, store)) = open().await else {
        return;
    };
    // The first is judged by the database, the others by the writer, which has learnt that it is alone.
    for round in 0..4 {
        proxy.cut(Cut::Answer);
        let stream = format!("account-{round}");
        let (one, two) = tokio::join!(
            store.append(noted(&stream, ExpectedVersion::NoStream)),
            store.append(noted("account-x", ExpectedVersion::Any)),
        );
        assert!(proxy.has_cut());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.count, one.repeated), (2, false));
        assert_eq!(one.versions, [(stream.parse().unwrap(), 2.into())]);
        assert_eq!(two.versions[0].1.get(), (round + 1) * 2);
        assert_eq!(stored(&store).await.len() as u64, (round + 1) * 4);
        let head = one.position.max(two.position).get();
        assert_eq!(head, (round + 1) * 4);
        let page = store.read(Read::stream(stream.parse().unwrap())).await;
        assert_eq!(page.unwrap().events[1].recorded_at, one.recorded_at);
    }
}

#[tokio::test]
async fn a_request_that_is_lost_is_said_to_have_done_nothing() {
    let Some((proxy, store)) = open().await else {
        return;
    };
    for round in 0..4 {
        proxy.cut(Cut::Request);
        let lost = store.append(noted("account-1", ExpectedVersion::Any)).await;
        assert!(proxy.has_cut());
        assert!(
            matches!(lost, Err(AppendError::Store(StoreError::Unavailable(_)))),
            "{lost:?}"
        );
        assert_eq!(stored(&store).await.len(), round * 2);
        store
            .append(noted("account-1", ExpectedVersion::Any))
            .await
            .unwrap();
    }
}

/// Its value is what the proxy looks for.
fn document(key: &str) -> Changes {
    Changes::new().put(key, r#""account.noted""#)
}

async fn documents(store: &PostgresStore) -> usize {
    let found = store.scan_documents(Scan::prefix("")).await;
    found.unwrap().len()
}

#[tokio::test]
async fn an_append_with_documents_is_found_by_its_events_and_documents_alone_are_not_known_of() {
    let Some((proxy, store)) = open().await else {
        return;
    };
    // The first round is judged by the database, the second by the writer.
    for round in 0..2 {
        for (cut, done) in [(Cut::Answer, 1), (Cut::Request, 0)] {
            let key = |what: &str| format!("{what}/{round}/{done}");
            let before = documents(&store).await;
            proxy.cut(cut);
            let changes = document(&key("both"));
            let both = noted("account-1", ExpectedVersion::Any).with_changes(changes);
            let answer = store.append(both).await;
            assert!(proxy.has_cut());
            match (done, answer) {
                (1, Ok(appended)) => assert_eq!(appended.count, 2),
                (0, Err(AppendError::Store(StoreError::Unavailable(_)))) => {}
                (done, answer) => panic!("{done}: {answer:?}"),
            }
            assert_eq!(documents(&store).await, before + done);
            store
                .append(noted("account-1", ExpectedVersion::Any))
                .await
                .unwrap();
            proxy.cut(cut);
            let alone = Append::default().with_changes(document(&key("alone")));
            let answer = store.append(alone).await;
            assert!(proxy.has_cut());
            let unknown = matches!(answer, Err(AppendError::Store(StoreError::Interrupted(_))));
            assert!(unknown, "{answer:?}");
            assert_eq!(documents(&store).await, before + 2 * done);
        }
    }
}

#[tokio::test]
async fn a_database_that_isolates_more_by_default_changes_nothing() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.clone().open().await.unwrap();
    let sql = "select current_setting('default_transaction_isolation')";
    let default: String = sqlx_one(store.pool(), sql).await;
    assert_eq!(default, "read committed");
    let (server, options) = server::behind().unwrap();
    let strict = server.options([("default_transaction_isolation", "serializable")]);
    let stores = [
        options(strict.clone()).open().await.unwrap(),
        options(strict).open().await.unwrap(),
    ];
    let default: String = sqlx_one(stores[0].pool(), sql).await;
    assert_eq!(default, "serializable");
    let appends = (0..64).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move {
            let stream = format!("account-{number}");
            store
                .append(noted(&stream, ExpectedVersion::NoStream))
                .await
        })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    assert_eq!(stored(&stores[1]).await.len(), 128);
}

async fn sqlx_one(pool: &PgPool, sql: &'static str) -> String {
    factum_postgres::sqlx::query_scalar(sql)
        .fetch_one(pool)
        .await
        .unwrap()
}
