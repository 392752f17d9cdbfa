//! A short linearizable history.

use std::sync::Arc;

use factum::store::Metadata;
use factum::store::{
    Append, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, NewEvent, Query, Read,
    Tag,
};
use factum::{Position, StreamId, Version};
use factum_memory::MemoryStore;
use factum_tests::history::{Call, History, Kind, Subscriber};
use uuid::Uuid;

pub(crate) const FIRST: usize = 0;
pub(crate) const SECOND: usize = 1;
pub(crate) const CONFLICTING: usize = 2;
pub(crate) const PAGE: usize = 3;
pub(crate) const KEYED: usize = 4;
pub(crate) const REPEATED: usize = 5;
pub(crate) const REUSED: usize = 6;
pub(crate) const CONDITIONAL: usize = 7;
pub(crate) const LAST: usize = 8;

pub(crate) fn stream(id: &str) -> StreamId {
    id.parse().unwrap()
}

pub(crate) fn events(count: u64) -> Vec<NewEvent> {
    let event = |_| NewEvent {
        id: Uuid::now_v7(),
        name: "x.made".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: vec![Tag::new("k", 1).unwrap()],
        metadata: Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    (0..count).map(event).collect()
}

pub(crate) fn one(expected: ExpectedVersion, count: u64) -> Append {
    Append::stream(stream("a-1"), expected, events(count))
}

pub(crate) fn exact(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version::new(version))
}

/// Runs one client with sequential calls, at the ticks 0 and 1, 2 and 3, and so on.
pub(crate) async fn good() -> History {
    let store = MemoryStore::new();
    let key = |content: &[u8]| IdempotencyKey::new("key", content);
    let appends = [
        one(ExpectedVersion::NoStream, 2),
        one(exact(2), 1).and_stream(stream("b-1"), ExpectedVersion::Any, events(2)),
        one(exact(2), 1),
        one(ExpectedVersion::Any, 1).idempotency_key(key(b"content")),
        one(exact(1), 1).idempotency_key(key(b"content")),
        one(ExpectedVersion::Any, 1).idempotency_key(key(b"other")),
        one(ExpectedVersion::Any, 1).condition(Query::category("b"), Position::new(5)),
        one(ExpectedVersion::Any, 1),
    ];
    let mut calls: Vec<Kind> = Vec::new();
    for append in appends {
        if calls.len() == PAGE {
            let read = Read::stream(stream("a-1"));
            let page = store.read(read.clone()).await.unwrap();
            calls.push(Kind::Read(read, page));
        }
        let response = store.append(append.clone()).await.into();
        calls.push(Kind::Append(append, response));
    }
    let log = store.read(Read::all(Query::all())).await.unwrap().events;
    let all = Subscriber {
        query: Query::all(),
        seen: log.clone(),
    };
    let query = Query::category("a");
    let matching = log
        .iter()
        .filter(|event| query.matches(event))
        .cloned()
        .collect();
    let subscribers = vec![
        all,
        Subscriber {
            query,
            seen: matching,
        },
    ];
    let calls = (0..).zip(calls);
    let calls = calls.map(|(turn, kind)| Call {
        client: 0,
        started: turn * 2,
        ended: turn * 2 + 1,
        kind,
    });
    History {
        calls: calls.collect(),
        log,
        subscribers,
    }
}
