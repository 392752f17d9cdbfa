//! Cases about event ids: an id is stored once.

use super::harness::{
    Backend, all_events, append, conflict, events, join_all, numbers, put, stream,
};
use factum_core::append::{Append, AppendError, ExpectedVersion, IdempotencyKey, Violation};
use factum_core::document::{DocumentChanges, DocumentStore as _};
use factum_core::event_id::{EventIdGenerator, new_event_id};
use factum_core::position::{Position, Version};
use factum_core::record::NewEvent;
use factum_core::store::EventStore;
use factum_core::timestamp::Timestamp;
use futures_util::future;
use uuid::Uuid;

/// Returns events with consecutive ids, as the engine creates them.
fn consecutive(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    let mut ids = EventIdGenerator::now();
    let with_next_id = |event: NewEvent| NewEvent {
        id: ids.next_id(),
        ..event
    };
    events(numbers).into_iter().map(with_next_id).collect()
}

fn with_id(id: Uuid, number: u64) -> NewEvent {
    let mut event = events([number]).remove(0);
    event.id = id;
    event
}

fn to(id: &str, events: Vec<NewEvent>) -> Append {
    Append::stream(stream(id), ExpectedVersion::Any, events)
}

/// Asserts that `result` is the error for `id`, which is stored at `position`.
fn assert_reused<T: std::fmt::Debug>(result: &Result<T, AppendError>, id: Uuid, position: u64) {
    let expected = Position::new(position);
    assert!(
        matches!(result, Err(AppendError::EventIdReused { id: reused, position })
            if *reused == id && *position == expected),
        "expected EventIdReused for {id} at position {position}, got {result:?}"
    );
}

/// An append with the event id of any stored event is rejected as a whole, and names that event.
pub async fn event_id_is_stored_once<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let run = consecutive(1..=5);
    let ids: Vec<Uuid> = run.iter().map(|event| event.id).collect();
    let mut stored = to("contract-a", run[..2].to_vec());
    stored = stored.and_stream(
        stream("contract-b"),
        ExpectedVersion::Any,
        run[2..].to_vec(),
    );
    append(&store, stored).await;
    // Lower and higher than the others, and next to them.
    let (low, high) = (Uuid::from_u128(1), Uuid::from_u128(u128::MAX - 1));
    let next = Uuid::from_u128(ids[4].as_u128() + 1);
    put(&store, "contract-c", vec![with_id(high, 6)]).await;
    put(
        &store,
        "contract-c",
        vec![with_id(low, 7), with_id(next, 8)],
    )
    .await;
    let stored = ids.iter().copied().chain([high, low, next]);
    let other = backend.open().await;
    for (id, position) in stored.zip(1..) {
        for (index, id_of_stream) in ["contract-a", "contract-b", "contract-new"]
            .iter()
            .enumerate()
        {
            let repeated = vec![with_id(new_event_id(), 90), with_id(id, 91)];
            let store = if index % 2 == 0 { &store } else { &other };
            let result = store.append(to(id_of_stream, repeated)).await;
            assert_reused(&result, id, position);
        }
        let imported = store.import(to("contract-a", vec![with_id(id, 92)]), Timestamp::now());
        let imported = imported.await;
        if !matches!(&imported, Err(AppendError::Store(_))) {
            assert_reused(&imported, id, position);
        }
    }
    // A run that starts before the stored ones, and one that continues them.
    let before = Uuid::from_u128(ids[0].as_u128() - 1);
    let overlaps = vec![with_id(before, 93), with_id(ids[0], 94)];
    assert_reused(&store.append(to("contract-a", overlaps)).await, ids[0], 1);
    let last = Uuid::from_u128(ids[4].as_u128() + 2);
    put(
        &store,
        "contract-d",
        vec![with_id(before, 9), with_id(last, 10)],
    )
    .await;
    let all = all_events(&store, 100).await;
    assert_eq!(numbers(&all), (1..=10).collect::<Vec<_>>());
}

/// An append that repeats an event id changes no document, and leaves its idempotency key unused.
pub async fn reused_event_id_has_no_effect<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let key = |name: &str| IdempotencyKey::new(name, b"content");
    let first = to("contract-a", consecutive(1..=2));
    let id = first.events[1].event.id;
    let appended = append(&store, first.clone().idempotency_key(key("req-1"))).await;
    // With its key, the same append is a repetition.
    let repeated = append(&store, first.idempotency_key(key("req-1"))).await;
    assert!(repeated.repeated && repeated.position == appended.position);
    let rejected = || to("contract-b", vec![with_id(id, 3)]).idempotency_key(key("req-2"));
    let changing = rejected().with_changes(DocumentChanges::new().put("notes/1", "1"));
    assert_reused(&store.append(changing).await, id, 2);
    assert_reused(&store.append(rejected()).await, id, 2);
    assert_eq!(store.find(&key("req-2")).await.expect("a lookup"), None);
    let documents = store.find_documents(&["notes/1".to_owned()]).await;
    assert_eq!(documents.expect("a lookup"), []);
    // A conflict is reported first, because a decision that is repeated has new ids.
    let outdated = Append::stream(
        stream("contract-a"),
        ExpectedVersion::NoStream,
        vec![with_id(id, 4)],
    );
    conflict(&store, outdated).await;
    let valid = to("contract-b", events([5])).idempotency_key(key("req-2"));
    append(&store, valid).await;
    assert_eq!(numbers(&all_events(&store, 10).await), [1, 2, 5]);
}

/// Of concurrent appends with one event id, exactly one succeeds; other appends are not affected.
pub async fn concurrent_appends_with_one_event_id_have_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let ids: Vec<Uuid> = (0..8).map(|_| new_event_id()).collect();
    let tasks = (0..64_u64).map(|number| {
        let store = handles[number as usize % 2].clone();
        let shared = ids.get(number as usize / 4).copied();
        tokio::spawn(async move {
            let mut new = consecutive([1_000 + number, number]);
            if let Some(id) = shared {
                new[1].id = id;
            }
            let result = store.append(to(&format!("contract-{number}"), new)).await;
            match result {
                Ok(_) => true,
                Err(AppendError::EventIdReused { id, .. }) if Some(id) == shared => false,
                other => panic!("the append must succeed or repeat an event id: {other:?}"),
            }
        })
    });
    let stored = join_all(tasks.collect::<Vec<_>>()).await;
    for group in stored[..32].chunks(4) {
        let winners = group.iter().filter(|stored| **stored).count();
        assert_eq!(winners, 1, "exactly one append with an id must be stored");
    }
    assert!(
        stored[32..].iter().all(|stored| *stored),
        "an append failed because of another"
    );
    let all = all_events(&handles[0], 100).await;
    assert_eq!(all.len(), 2 * (8 + 32));
}

/// An append that requires an event is stored only if that event is, in whatever stream.
pub async fn append_requires_stored_events<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let run = consecutive(1..=3);
    append(&store, to("contract-a", run.clone())).await;
    put(&store, "contract-b", vec![with_id(Uuid::from_u128(7), 4)]).await;
    let stored = run.iter().map(|event| event.id);
    let stored = stored.chain([Uuid::from_u128(7)]);
    let other = backend.open().await;
    for store in [&store, &other] {
        for id in stored.clone() {
            let required = to("contract-a", events([5]));
            append(store, required.require(id).require(run[0].id)).await;
        }
        let before = all_events(store, 100).await.len();
        for missing in [new_event_id(), Uuid::from_u128(6), Uuid::from_u128(8)] {
            let requiring = to("contract-a", events([6])).require(run[1].id);
            let rejected = conflict(store, requiring.require(missing)).await;
            let expected = [Violation::MissingEvent { id: missing }];
            assert_eq!(rejected.violations, expected);
        }
        assert_eq!(all_events(store, 100).await.len(), before);
    }
    // The first result of a key has precedence, as over every violation.
    let key = IdempotencyKey::new("key", b"");
    let keyed = to("contract-a", events([7])).idempotency_key(key);
    append(&store, keyed.clone()).await;
    let repeated = append(&store, keyed.require(new_event_id())).await;
    assert!(repeated.repeated, "{repeated:?}");
}

/// An append that was sent before the response to another one requires the event of that one.
///
/// If another writer has stored an event with the same version instead, both are rejected.
pub async fn append_after_a_rejected_one_is_rejected<B: Backend>() {
    let backend = B::create().await;
    let (store, other) = (backend.open().await, backend.open().await);
    put(&store, "contract-a", events([1])).await;
    let at = |version, event: NewEvent| {
        let expected = ExpectedVersion::Exact(Version::new(version));
        Append::stream(stream("contract-a"), expected, vec![event])
    };
    for version in [1, 4, 7] {
        let first = with_id(new_event_id(), 2);
        append(&store, at(version, first.clone())).await;
        let second = with_id(new_event_id(), 3);
        append(&store, at(version + 1, second).require(first.id)).await;
        // This event has the version that the second append expects.
        append(&other, at(version + 2, with_id(new_event_id(), 4))).await;
        let first = with_id(new_event_id(), 5);
        let second = at(version + 3, with_id(new_event_id(), 6)).require(first.id);
        let appends = [at(version + 2, first), second];
        for rejected in future::join_all(appends.map(|append| store.append(append))).await {
            assert!(
                matches!(rejected, Err(AppendError::Conflict(_))),
                "{rejected:?}"
            );
        }
    }
}
