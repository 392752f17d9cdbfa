//! Tests of the database: its schema, its view, concurrent opening, lost connections.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/server.rs"]
mod server;

use std::sync::Arc;

use factum::Version;
use factum::store::Metadata;
use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, NewEvent,
    Query, Read, StoreError,
};
use uuid::Uuid;

fn opened() -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: r#"{"owner":"Ada"}"#.into(),
        tags: vec!["owner:ada".to_owned().try_into().unwrap()],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    Append::stream(
        "account-1".parse().unwrap(),
        ExpectedVersion::NoStream,
        vec![event],
    )
}

#[tokio::test]
async fn events_view_shows_readable_json() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    store.append(opened()).await.unwrap();
    let rows: Vec<(i64, String, i64, String, String, Vec<String>)> =
        sqlx::query_as("select position, stream, version, name, data, tags from events")
            .fetch_all(store.pool())
            .await
            .unwrap();
    let [(1, stream, 1, name, data, tags)] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (stream.as_str(), name.as_str()),
        ("account-1", "account.opened")
    );
    assert_eq!(
        (data.as_str(), &tags[..]),
        (r#"{"owner":"Ada"}"#, &["owner:ada".to_owned()][..])
    );
}

#[tokio::test]
async fn concurrent_opens_of_a_new_schema_succeed() {
    let Some(options) = server::fresh() else {
        return;
    };
    let opening: Vec<_> = (0..10)
        .map(|_| tokio::spawn(options.clone().open()))
        .collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap().unwrap());
    }
    stores[0].append(opened()).await.unwrap();
    let page = stores[9].read(Read::all(Query::all())).await.unwrap();
    assert_eq!(page.events.len(), 1);
}

#[tokio::test]
async fn stores_in_one_database_are_independent() {
    let (Some(one), Some(other)) = (server::fresh(), server::fresh()) else {
        return;
    };
    let (one, other) = (one.open().await.unwrap(), other.open().await.unwrap());
    for store in [&one, &other] {
        assert_eq!(store.append(opened()).await.unwrap().position.get(), 1);
    }
}

#[tokio::test]
async fn newer_schema_and_invalid_name_are_rejected() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.clone().open().await.unwrap();
    sqlx::query("update schema_version set version = 7")
        .execute(store.pool())
        .await
        .unwrap();
    let rejected = options.clone().open().await.unwrap_err();
    assert!(
        matches!(rejected, StoreError::NewerSchema { found: 7, known: 3 }),
        "{rejected:?}"
    );
    for name in ["", "1a", "a-b", "A", "a; drop table event"] {
        let rejected = options.clone().schema(name).open().await.unwrap_err();
        assert!(
            matches!(rejected, StoreError::CannotOpen(_)),
            "{name:?}: {rejected:?}"
        );
    }
}

#[tokio::test]
async fn lost_connection_is_replaced() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    store.append(opened()).await.unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity
         where pid <> pg_backend_pid() and query like '%append_all%'
           and application_name = current_setting('application_name')",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let lost = store.append(Append::default()).await;
    let unavailable = |error: &_| matches!(error, AppendError::Store(StoreError::Unavailable(_)));
    assert!(lost.as_ref().is_err_and(unavailable), "{lost:?}");
    assert_eq!(
        store
            .append(Append::default())
            .await
            .unwrap()
            .position
            .get(),
        1
    );
}

#[tokio::test]
async fn closed_store_returns_closed() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let mut head = store.watch();
    store.close().await;
    let read = store.read(Read::all(Query::all())).await;
    assert!(matches!(read, Err(StoreError::Closed)), "{read:?}");
    let append = store.append(opened()).await;
    assert!(
        matches!(append, Err(AppendError::Store(StoreError::Closed))),
        "{append:?}"
    );
    assert!(head.changed().await.is_err());
}

/// Returns an append to account `number` with its own idempotency key.
fn keyed(number: u64) -> Append {
    let mut append = opened();
    append.streams[0].stream = format!("account-{number}").parse().unwrap();
    append.idempotency_key(IdempotencyKey::new(format!("key-{number}"), b"content"))
}

#[tokio::test]
async fn appends_of_a_batch_are_checked_separately() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    for number in (0..40).step_by(4) {
        let mut before = keyed(number);
        before.key = None;
        store.append(before).await.unwrap();
    }
    // Polled together, so that all but the first form one batch.
    let appends = (0..40).map(|number| store.append(keyed(number)));
    let results = futures_util::future::join_all(appends).await;
    for (number, result) in (0..).zip(&results) {
        match result {
            Ok(appended) if number % 4 != 0 => {
                let stream = format!("account-{number}").parse().unwrap();
                assert_eq!(appended.versions, [(stream, Version::new(1))]);
                let again = store.append(keyed(number)).await.unwrap();
                assert!(again.repeated);
                assert_eq!(
                    (again.position, &again.versions),
                    (appended.position, &appended.versions)
                );
            }
            Err(AppendError::Conflict(conflict)) if number % 4 == 0 => {
                let expected =
                    format!("conflict: account-{number} is at version 1, expected no stream");
                assert_eq!(conflict.to_string(), expected);
            }
            other => panic!("append {number}: {other:?}"),
        }
    }
    let tagged = Query::any_tag(["owner:ada".to_owned().try_into().unwrap()]);
    let page = store.read(Read::all(tagged)).await.unwrap();
    let positions: Vec<u64> = page
        .events
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
    let mut stored: Vec<u64> = results
        .iter()
        .flatten()
        .map(|appended| appended.position.get())
        .collect();
    stored.sort_unstable();
    assert_eq!(stored, (11..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn append_accepts_the_maximum_number_of_expectations() {
    let Some(options) = server::fresh() else {
        return;
    };
    let store = options.open().await.unwrap();
    let mut append = opened();
    for number in 2..=10_000 {
        let stream = format!("account-{number}").parse().unwrap();
        append = append.and_stream(stream, ExpectedVersion::NoStream, Vec::new());
    }
    // The database checks the first append, the writer the second.
    let limit = std::time::Duration::from_secs(20);
    let appended = tokio::time::timeout(limit, store.append(append.clone())).await;
    assert_eq!(appended.unwrap().unwrap().position.get(), 1);
    append.streams[0].stream = "account-0".parse().unwrap();
    append.events[0].event.id = Uuid::now_v7();
    append.streams[1].expected = ExpectedVersion::StreamExists;
    let rejected = tokio::time::timeout(limit, store.append(append)).await;
    let Err(AppendError::Conflict(conflict)) = rejected.unwrap() else {
        panic!("a stream does not exist");
    };
    let expected = "conflict: account-2 is at version 0, expected an existing stream";
    assert_eq!(conflict.to_string(), expected);
}
