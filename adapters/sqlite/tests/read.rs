//! Tests of consecutive pages with appends between them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, NewEvent, Page, Query, Read,
};
use factum_sqlite::SqliteStore;
use uuid::Uuid;

fn events(count: usize) -> Vec<NewEvent> {
    let event = || NewEvent {
        id: Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "null".into(),
        tags: Vec::new(),
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    std::iter::repeat_with(event).take(count).collect()
}

async fn append(store: &SqliteStore, count: usize) {
    let append = Append::stream(
        "account-1".parse().unwrap(),
        ExpectedVersion::Any,
        events(count),
    );
    store.append(append).await.unwrap();
}

fn positions(page: &Page) -> Vec<u64> {
    let positions = page.events.iter().map(|event| event.position.get());
    positions.collect()
}

#[tokio::test]
async fn last_page_has_events_appended_since_the_previous_page() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let other = SqliteStore::open(&file).await.unwrap();
    append(&store, 250).await;
    let stream = Read::stream("account-1".parse().unwrap());
    for (round, read) in [Read::all(Query::all()), stream].into_iter().enumerate() {
        let last = 250 + 10 * round as u64;
        let first = store.read(read.clone().limit(100)).await.unwrap();
        assert_eq!(positions(&first), (1..=100).collect::<Vec<_>>());
        let second = read.clone().limit(100).after(100_u64);
        let second = store.read(second).await.unwrap();
        assert_eq!(positions(&second), (101..=200).collect::<Vec<_>>());
        append(&other, 10).await;
        let third = store.read(read.limit(100).after(200_u64)).await.unwrap();
        assert_eq!(positions(&third), (201..=last + 10).collect::<Vec<_>>());
        assert_eq!((third.head.get(), third.more), (last + 10, false));
    }
}

#[tokio::test]
async fn later_page_has_the_current_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("bank.db")).await.unwrap();
    append(&store, 300).await;
    let read = Read::all(Query::all()).limit(100);
    store.read(read.clone()).await.unwrap();
    append(&store, 1).await;
    let second = store.read(read.after(100_u64)).await.unwrap();
    assert_eq!((second.head.get(), second.more), (301, true));
}
