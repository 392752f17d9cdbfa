//! Cases about repeated appends without an idempotency key.

use super::harness::{Backend, all_events, append, events, page, put, stream};
use factum_core::append::{Append, AppendError, Appended, ExpectedVersion};
use factum_core::position::Version;
use factum_core::query::Query;
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_engine::record::RecordedEvent;
use uuid::Uuid;

fn ids<'e>(events: impl IntoIterator<Item = &'e RecordedEvent>) -> Vec<Uuid> {
    events.into_iter().map(|event| event.id).collect()
}

/// Asserts that `append` is recognized as a repetition: by the store, or by its event ids.
///
/// `first` is the result of the first append.
///
/// The expected version, or the position in the error, is the place at which the events of the first append are stored.
async fn assert_recognized(store: &impl EventStore, append: &Append, first: &Appended) {
    let count = append.count();
    let sent: Vec<Uuid> = append.events.iter().map(|event| event.event.id).collect();
    let target = &append.streams[0];
    let read = match (store.append(append.clone()).await, target.expected) {
        (Ok(again), _) => {
            let result = (again.position, again.count, &again.versions);
            assert_eq!(result, (first.position, first.count, &first.versions));
            return;
        }
        (Err(AppendError::Conflict(_)), ExpectedVersion::NoStream) => {
            Read::stream(target.stream.clone())
        }
        (Err(AppendError::Conflict(_)), ExpectedVersion::Exact(before)) => {
            Read::stream(target.stream.clone()).after(before)
        }
        (Err(AppendError::EventIdReused { id, position }), ExpectedVersion::Any) => {
            let index = sent.iter().position(|sent| *sent == id);
            let index = index.expect("the error should name an id of the append");
            Read::all(Query::all()).after(position.get() - index as u64 - 1)
        }
        (other, _) => panic!("the append must be recognized as a repetition, got {other:?}"),
    };
    let stored = page(store, read.limit(count)).await;
    assert_eq!(ids(&stored.events), sent, "the events at the place");
    let last = stored.events.last().map(|event| event.position);
    assert_eq!(last, Some(first.position));
}

/// An append that is repeated later is recognized by its event ids, and one with other ids is not.
///
/// Protocols without idempotency keys depend on it for as long as the log exists.
pub async fn repeated_append_is_recognized_by_its_event_ids<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let to = |expected, numbers: std::ops::Range<u64>| {
        Append::stream(stream("contract-a"), expected, events(numbers))
    };
    let appends = [
        to(ExpectedVersion::NoStream, 0..3),
        to(ExpectedVersion::Exact(Version::new(3)), 3..4),
        to(ExpectedVersion::Any, 4..6),
        to(ExpectedVersion::Exact(Version::new(6)), 6..9),
    ];
    let mut first = Vec::new();
    for request in &appends {
        first.push(append(&store, request.clone()).await);
        put(&store, "contract-b", events(90..92)).await;
    }
    put(&store, "contract-a", events(9..12)).await;
    let reopened = backend.open().await;
    for store in [&store, &reopened] {
        for (request, first) in appends.iter().zip(&first) {
            assert_recognized(store, request, first).await;
        }
    }
    for expected in [
        ExpectedVersion::NoStream,
        ExpectedVersion::Exact(Version::new(6)),
    ] {
        let other = reopened.append(to(expected, 0..3)).await;
        assert!(
            matches!(other, Err(AppendError::Conflict(_))),
            "an append with other ids must be a conflict, got {other:?}"
        );
    }
    let stored = all_events(&store, 100).await;
    assert_eq!(stored.len(), 9 + 3 + 4 * 2);
}
