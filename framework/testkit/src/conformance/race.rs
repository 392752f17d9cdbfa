//! Cases about concurrent writers and readers on two handles.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::harness::{
    Backend, all_events, append, events, join_all, number, numbers, page, put, stream, tag, tagged,
};
use factum_core::append::{Append, AppendError, ExpectedVersion, Violation};
use factum_core::position::{Position, Version};
use factum_core::query::{Query, QueryItem};
use factum_core::read::Read;
use factum_core::store::EventStore;
use factum_engine::record::RecordedEvent;
use factum_engine::subscription::Subscription;

/// If concurrent appends expect the same version of a stream, exactly one succeeds.
pub async fn conflicting_appends_have_exactly_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    for version in 0..8 {
        let tasks = (0..32).map(|number| {
            let store = handles[number % 2].clone();
            tokio::spawn(async move {
                let expected = ExpectedVersion::Exact(Version::new(version));
                let append =
                    Append::stream(stream("contract-hot"), expected, events([number as u64]));
                match store.append(append).await {
                    Ok(_) => true,
                    Err(AppendError::Conflict(conflict)) => {
                        let violation = Violation::Version {
                            stream: stream("contract-hot"),
                            expected,
                            actual: Version::new(version + 1),
                        };
                        assert_eq!(conflict.violations, [violation]);
                        false
                    }
                    Err(error) => panic!("the append must succeed or conflict, got {error}"),
                }
            })
        });
        let won = join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(
            won.iter().filter(|won| **won).count(),
            1,
            "exactly one append must succeed at version {version}"
        );
    }
}

/// If concurrent appends create the same stream, exactly one succeeds.
pub async fn stream_creation_has_exactly_one_winner<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    for round in 0..8_usize {
        let id = stream(&format!("contract-{round}"));
        let tasks = (0..32).map(|number| {
            let (store, id) = (handles[number % 2].clone(), id.clone());
            tokio::spawn(async move {
                let append = Append::stream(id, ExpectedVersion::NoStream, events([number as u64]));
                match store.append(append).await {
                    Ok(_) => true,
                    Err(AppendError::Conflict(_)) => false,
                    Err(error) => panic!("the append must succeed or conflict, got {error}"),
                }
            })
        });
        let won = join_all(tasks.collect::<Vec<_>>()).await;
        let winners = won.iter().filter(|won| **won).count();
        assert_eq!(winners, 1, "exactly one append must create the stream {id}");
        let stored = all_events(&handles[0], 100).await;
        assert_eq!(stored.len(), round + 1);
    }
}

/// Concurrent appends to different streams never conflict.
pub async fn appends_to_disjoint_streams_never_conflict<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let tasks = (0..64).map(|writer| {
        let store = handles[writer % 2].clone();
        tokio::spawn(async move {
            let id = format!("contract-{writer}");
            for version in 0..5 {
                let expected = ExpectedVersion::Exact(Version::new(version));
                append(
                    &store,
                    Append::stream(stream(&id), expected, events([version])),
                )
                .await;
            }
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(all_events(&handles[1], 1_000).await.len(), 64 * 5);
}

/// A conflict fails its own append and no concurrent one.
pub async fn conflict_rejects_only_its_own_append<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    put(&store, "contract-taken", events([0])).await;
    let tasks = (1..=48_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let id = if number % 3 == 0 {
                "contract-taken".to_owned()
            } else {
                format!("contract-{number}")
            };
            let append = Append::stream(stream(&id), ExpectedVersion::NoStream, events([number]));
            (number, store.append(append).await.is_ok())
        })
    });
    let outcomes = join_all(tasks.collect::<Vec<_>>()).await;
    for (number, succeeded) in outcomes {
        let expected = number % 3 != 0;
        assert_eq!(succeeded, expected, "whether append {number} succeeded");
    }
    let mut stored = numbers(&all_events(&store, 100).await);
    stored.sort_unstable();
    assert_eq!(
        stored,
        (0..=48)
            .filter(|number| *number == 0 || number % 3 != 0)
            .collect::<Vec<_>>()
    );
}

/// Reads backward from the head until `done` and asserts that every append is visible as a whole.
///
/// Each append must store three events with the same number.
pub async fn check_newest_appends(store: impl EventStore, done: Arc<AtomicBool>) {
    let mut last = false;
    while !last {
        last = done.load(SeqCst);
        // A store whose calls never wait would occupy the threads of the writers.
        tokio::task::yield_now().await;
        let page = page(&store, Read::all(Query::all()).backward().limit(7)).await;
        assert_eq!(page.head.get() % 3, 0, "the head is inside an append");
        let newest = page.events.first().map_or(0, |event| event.position.get());
        assert_eq!(
            newest,
            page.head.get(),
            "the head must be the position of the newest event"
        );
        for whole in page.events.chunks_exact(3) {
            let first = number(&whole[0]);
            assert!(
                whole.iter().all(|event| number(event) == first),
                "a reader got a part of append {first}"
            );
        }
    }
}

/// Reads forward from the beginning until `done` and asserts that every append is visible as a whole.
pub async fn check_oldest_appends(store: impl EventStore, done: Arc<AtomicBool>) {
    let mut seen: Vec<u64> = Vec::new();
    let mut last = false;
    while !last {
        last = done.load(SeqCst);
        tokio::task::yield_now().await;
        loop {
            let read = Read::all(Query::all()).after(seen.len() as u64).limit(4);
            let page = page(&store, read).await;
            assert_eq!(page.head.get() % 3, 0, "the head is inside an append");
            seen.extend(page.events.iter().map(number));
            if !page.more {
                // The page reports no more events, so all events up to its head have been read.
                assert_eq!(seen.len() as u64, page.head.get(), "events were skipped");
                break;
            }
        }
        let whole = |three: &[u64]| three.iter().all(|number| *number == three[0]);
        assert!(
            seen.chunks(3).all(whole),
            "a reader got a part of an append: {seen:?}"
        );
    }
}

/// Readers see all events of an append or none, in both directions.
pub async fn readers_never_see_partial_appends<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let done = Arc::new(AtomicBool::new(false));
    let readers = [
        tokio::spawn(check_newest_appends(handles[0].clone(), done.clone())),
        tokio::spawn(check_newest_appends(handles[1].clone(), done.clone())),
        tokio::spawn(check_oldest_appends(handles[0].clone(), done.clone())),
        tokio::spawn(check_oldest_appends(handles[1].clone(), done.clone())),
    ];
    let writers = (0..8_u64).map(|writer| {
        let store = handles[(writer % 2) as usize].clone();
        tokio::spawn(async move {
            for turn in 0..20 {
                let number = writer * 100 + turn;
                let own = stream(&format!("contract-{writer}"));
                let request = Append::stream(own, ExpectedVersion::Any, events([number]))
                    .and_stream(
                        stream("contract-shared"),
                        ExpectedVersion::Any,
                        events([number, number]),
                    );
                append(&store, request).await;
            }
        })
    });
    join_all(writers.collect::<Vec<_>>()).await;
    done.store(true, SeqCst);
    join_all(readers).await;
    assert_eq!(all_events(&handles[0], 100).await.len(), 8 * 20 * 3);
}

/// A subscriber gets every matching event once and in order while events are appended.
pub async fn subscriber_gets_every_event_once_in_order<B: Backend>() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 30;
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let early = (0..10).map(|number| tagged(number, &["parity:0"]));
    put(&handles[0], "contract-early", early.collect()).await;
    let even = Query::from(QueryItem::default().tag(tag("parity:0")));
    let wanted = [
        (Query::all(), 0),
        (Query::all(), 7),
        (even.clone(), 0),
        (Query::stream_prefix("contract-1"), 3),
    ];
    let total = 10 + WRITERS * EACH;
    let readers: Vec<_> = wanted
        .iter()
        .cloned()
        .enumerate()
        .map(|(index, (query, after))| {
            let store = Arc::new(handles[index % 2].clone());
            let mut reader = Subscription::new(store, query, Position::new(after)).page_size(9);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while reader.position() < Position::new(total) {
                    let page = reader.next_page().await;
                    seen.extend(page.expect("the next page should be readable").events);
                }
                seen
            })
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let store = handles[(writer % 2) as usize].clone();
        tokio::spawn(async move {
            let id = format!("contract-{writer}");
            for number in 0..EACH {
                let parity = format!("parity:{}", number % 2);
                put(&store, &id, vec![tagged(number, &[&parity])]).await;
            }
        })
    });
    join_all(writers.collect::<Vec<_>>()).await;
    let stored = all_events(&handles[0], 100).await;
    assert_in_order(&stored, total);
    for (seen, (query, after)) in join_all(readers).await.into_iter().zip(wanted) {
        let later = stored.iter().filter(|event| event.position.get() > after);
        let expected: Vec<_> = later
            .filter(|event| query.matches(event))
            .cloned()
            .collect();
        assert!(
            seen == expected,
            "a subscriber to {query:?} after position {after} must get the events {:?}, but got {:?}",
            positions(&expected),
            positions(&seen)
        );
    }
}

fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}

/// Asserts that positions and versions have no gaps and that times do not decrease.
fn assert_in_order(stored: &[RecordedEvent], total: u64) {
    assert_eq!(
        positions(stored),
        (1..=total).collect::<Vec<_>>(),
        "the positions must have no gaps"
    );
    assert!(
        stored.is_sorted_by_key(|event| event.recorded_at),
        "the times of the events must not decrease"
    );
    let mut versions: HashMap<_, u64> = HashMap::new();
    for event in stored {
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        let stream = &event.stream;
        assert_eq!(event.version.get(), *version, "a version of {stream}");
    }
}

/// An append through one handle is visible to another handle immediately.
pub async fn commit_is_visible_to_other_handle_at_once<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    for version in 0..20_usize {
        let (writer, reader) = (&handles[version % 2], &handles[(version + 1) % 2]);
        let expected = ExpectedVersion::Exact(Version::new(version as u64));
        let append = Append::stream(stream("contract-a"), expected, events([version as u64]));
        let appended = writer
            .append(append)
            .await
            .expect("the append of the other handle should be visible");
        let page = page(
            reader,
            Read::stream(stream("contract-a")).backward().limit(1),
        )
        .await;
        assert_eq!(page.head, appended.position);
        assert_eq!(numbers(&page.events), [version as u64]);
    }
}

/// A watcher is woken by an append of its own handle and of another handle.
pub async fn watcher_wakes_for_commit_of_any_handle<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    for turn in 0..4 {
        let mut watcher = handles[0].watch();
        let position = put(&handles[turn % 2], "contract-a", events([turn as u64]))
            .await
            .position;
        let woken = watcher.wait_for(|head| *head >= position).await;
        woken.expect("the watch of the store should stay open");
    }
}
