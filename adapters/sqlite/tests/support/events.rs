//! Appends of events without a domain.

#![allow(dead_code, reason = "no test uses all items")]

use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, NewEvent, Query, Read,
};
use factum_sqlite::SqliteStore;

/// Returns an event with `data`, which is JSON.
pub fn event(data: impl Into<String>) -> NewEvent {
    NewEvent {
        id: factum::store::new_event_id(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: data.into().into(),
        tags: Vec::new(),
        metadata: Default::default(),
        personal: Vec::new(),
    }
}

/// Returns an append of one event.
pub fn append() -> Append {
    let stream = "account-1".parse().unwrap();
    Append::stream(stream, ExpectedVersion::Any, vec![event("{}")])
}

/// Returns the number of events.
pub async fn count(store: &SqliteStore) -> usize {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    page.events.len()
}

/// Returns the messages of an error and its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    factum::store::error_chain(error)
}

/// Appends, and returns the messages of the error.
pub async fn append_error(store: &SqliteStore) -> String {
    match store.append(append()).await {
        Err(error @ AppendError::Store(_)) => chain(&error),
        other => panic!("{other:?}"),
    }
}
