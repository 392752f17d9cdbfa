//! Tests of connections that break during an append: the store recovers the result.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read,
    StoreError,
};
use factum::store::{DocumentChanges, DocumentStore as _, Scan};
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
    let (server, options) = server::fresh_with_address()?;
    let (proxy, address) = Proxy::start(server, "account.noted").await;
    Some((proxy, options(address).open().await.unwrap()))
}

/// Returns the stored events as stream and version.
async fn stored(store: &PostgresStore) -> Vec<String> {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    let events = page.events.iter();
    events
        .map(|event| format!("{} {}", event.stream, event.version))
        .collect()
}

#[tokio::test]
async fn result_lost_after_the_commit_is_recovered() {
    let Some((proxy, store)) = open().await else {
        return;
    };
    // The database checks the first round, the writer the others: it has noticed that it is the only one.
    for round in 0..4 {
        proxy.cut(Cut::Response);
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
async fn lost_request_is_reported_into_not_executed() {
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

/// Returns a change whose value contains the marker of the proxy.
fn document(key: &str) -> DocumentChanges {
    DocumentChanges::new().put(key, r#""account.noted""#)
}

async fn documents(store: &PostgresStore) -> usize {
    let found = store.scan_documents(Scan::prefix("")).await;
    found.unwrap().len()
}

#[tokio::test]
async fn documents_are_recovered_only_together_with_events() {
    let Some((proxy, store)) = open().await else {
        return;
    };
    // The database checks the first round, the writer the second.
    for round in 0..2 {
        for (cut, done) in [(Cut::Response, 1), (Cut::Request, 0)] {
            let key = |what: &str| format!("{what}/{round}/{done}");
            let before = documents(&store).await;
            proxy.cut(cut);
            let changes = document(&key("both"));
            let both = noted("account-1", ExpectedVersion::Any).with_changes(changes);
            let result = store.append(both).await;
            assert!(proxy.has_cut());
            match (done, result) {
                (1, Ok(appended)) => assert_eq!(appended.count, 2),
                (0, Err(AppendError::Store(StoreError::Unavailable(_)))) => {}
                (done, result) => panic!("{done}: {result:?}"),
            }
            assert_eq!(documents(&store).await, before + done);
            store
                .append(noted("account-1", ExpectedVersion::Any))
                .await
                .unwrap();
            proxy.cut(cut);
            let alone = Append::default().with_changes(document(&key("alone")));
            let result = store.append(alone).await;
            assert!(proxy.has_cut());
            let unknown = matches!(result, Err(AppendError::Store(StoreError::Interrupted(_))));
            assert!(unknown, "{result:?}");
            assert_eq!(documents(&store).await, before + 2 * done);
        }
    }
}

#[tokio::test]
async fn stricter_default_isolation_changes_nothing() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.clone().open().await.unwrap();
    let sql = "select current_setting('default_transaction_isolation')";
    let default: String = query_text(store.pool(), sql).await;
    assert_eq!(default, "read committed");
    let (server, options) = server::fresh_with_address().unwrap();
    let strict = server.options([("default_transaction_isolation", "serializable")]);
    let stores = [
        options(strict.clone()).open().await.unwrap(),
        options(strict).open().await.unwrap(),
    ];
    let default: String = query_text(stores[0].pool(), sql).await;
    // Every session has the level that the store needs.
    assert_eq!(default, "read committed");
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

async fn query_text(pool: &PgPool, sql: &'static str) -> String {
    factum_postgres::sqlx::query_scalar(sql)
        .fetch_one(pool)
        .await
        .unwrap()
}
