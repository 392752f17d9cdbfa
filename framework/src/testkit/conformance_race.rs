//! Many writers and readers at once, over two handles.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::conformance::{
    Backend, all, append, events, everything, number, numbers, page, put, stream, tag, tagged,
};
use crate::append::{Append, AppendError, ExpectedVersion, Violation};
use crate::position::{Position, Version};
use crate::query::{Query, QueryItem};
use crate::read::Read;
use crate::record::RecordedEvent;
use crate::store::EventStore;
use crate::subscription::Subscription;

/// Of many that expect one version exactly one wins.
pub async fn conflicting_appends_have_exactly_one_winner<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
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
                        let lost = Violation::Version {
                            stream: stream("contract-hot"),
                            expected,
                            actual: Version::new(version + 1),
                        };
                        assert_eq!(conflict.violations, [lost]);
                        false
                    }
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let won = all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(
            won.iter().filter(|won| **won).count(),
            1,
            "at version {version}"
        );
    }
}

/// Of many that expect no stream exactly one wins.
pub async fn stream_creation_has_exactly_one_winner<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    for round in 0..8_usize {
        let id = stream(&format!("contract-{round}"));
        let tasks = (0..32).map(|number| {
            let (store, id) = (handles[number % 2].clone(), id.clone());
            tokio::spawn(async move {
                let append = Append::stream(id, ExpectedVersion::NoStream, events([number as u64]));
                match store.append(append).await {
                    Ok(_) => true,
                    Err(AppendError::Conflict(_)) => false,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let won = all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "of {id}");
        let stored = everything(&handles[0], 100).await;
        assert_eq!(stored.len(), round + 1);
    }
}

/// Appends to disjoint streams never conflict.
pub async fn appends_to_disjoint_streams_never_conflict<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
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
    all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(everything(&handles[1], 1_000).await.len(), 64 * 5);
}

/// A conflict rejects one append and not its neighbours.
pub async fn conflict_rejects_only_its_own_append<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
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
    let outcomes = all(tasks.collect::<Vec<_>>()).await;
    for (number, taken) in outcomes {
        assert_eq!(taken, number % 3 != 0, "append {number}");
    }
    let mut stored = numbers(&everything(&store, 100).await);
    stored.sort_unstable();
    assert_eq!(
        stored,
        (0..=48)
            .filter(|number| *number == 0 || number % 3 != 0)
            .collect::<Vec<_>>()
    );
}

/// Reads backward from the head until `done`, three events to an append, each with its number.
pub(super) async fn newest_are_whole(store: impl EventStore, done: Arc<AtomicBool>) {
    let mut last = false;
    while !last {
        last = done.load(SeqCst);
        // A store that is always ready would leave the writers no thread.
        tokio::task::yield_now().await;
        let page = page(&store, Read::all(Query::all()).backward().limit(7)).await;
        assert_eq!(page.head.get() % 3, 0, "half an append is at the head");
        let newest = page.events.first().map_or(0, |event| event.position.get());
        assert_eq!(
            newest,
            page.head.get(),
            "the head is not where the newest event is"
        );
        for whole in page.events.chunks_exact(3) {
            let first = number(&whole[0]);
            assert!(
                whole.iter().all(|event| number(event) == first),
                "half an append"
            );
        }
    }
}

/// Reads forward from the beginning in small pages until `done`.
pub(super) async fn oldest_are_whole(store: impl EventStore, done: Arc<AtomicBool>) {
    let mut seen: Vec<u64> = Vec::new();
    let mut last = false;
    while !last {
        last = done.load(SeqCst);
        tokio::task::yield_now().await;
        loop {
            let read = Read::all(Query::all()).after(seen.len() as u64).limit(4);
            let page = page(&store, read).await;
            assert_eq!(page.head.get() % 3, 0, "half an append is at the head");
            seen.extend(page.events.iter().map(number));
            if !page.more {
                // Nothing was left when the page was read: all up to its head has been seen.
                assert_eq!(seen.len() as u64, page.head.get());
                break;
            }
        }
        let whole = |three: &[u64]| three.iter().all(|number| *number == three[0]);
        assert!(seen.chunks(3).all(whole), "half an append");
    }
}

/// Readers never see half an append.
pub async fn readers_never_see_partial_appends<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let done = Arc::new(AtomicBool::new(false));
    let readers = [
        tokio::spawn(newest_are_whole(handles[0].clone(), done.clone())),
        tokio::spawn(newest_are_whole(handles[1].clone(), done.clone())),
        tokio::spawn(oldest_are_whole(handles[0].clone(), done.clone())),
        tokio::spawn(oldest_are_whole(handles[1].clone(), done.clone())),
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
    all(writers.collect::<Vec<_>>()).await;
    done.store(true, SeqCst);
    all(readers).await;
    assert_eq!(everything(&handles[0], 100).await.len(), 8 * 20 * 3);
}

/// A subscriber sees every event once and in order.
pub async fn subscriber_gets_every_event_once_in_order<B: Backend>() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 30;
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let early = (0..10).map(|number| tagged(number, &["parity:0"]));
    put(&handles[0], "contract-early", early.collect()).await;
    let even = Query::all().or(QueryItem::default().tag(tag("parity:0")));
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
                    seen.extend(reader.next_page().await.expect("a page").events);
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
    all(writers.collect::<Vec<_>>()).await;
    let stored = everything(&handles[0], 100).await;
    assert_in_order(&stored, total);
    for (seen, (query, after)) in all(readers).await.into_iter().zip(wanted) {
        let behind = stored.iter().filter(|event| event.position.get() > after);
        let expected: Vec<_> = behind
            .filter(|event| query.matches(event))
            .cloned()
            .collect();
        assert!(
            seen == expected,
            "a subscriber to {query:?} behind {after} saw something else"
        );
    }
}

/// Positions and versions without gaps, times in their order.
fn assert_in_order(stored: &[RecordedEvent], total: u64) {
    let positions: Vec<u64> = stored.iter().map(|event| event.position.get()).collect();
    assert_eq!(
        positions,
        (1..=total).collect::<Vec<_>>(),
        "the positions have gaps"
    );
    assert!(
        stored.is_sorted_by_key(|event| event.recorded_at),
        "the clock went back"
    );
    let mut versions: HashMap<_, u64> = HashMap::new();
    for event in stored {
        let version = versions.entry(event.stream.clone()).or_default();
        *version += 1;
        assert_eq!(event.version.get(), *version);
    }
}

/// A commit through one handle is seen by the other at once.
pub async fn commit_is_visible_to_other_handle_at_once<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    for version in 0..20_usize {
        let (writer, reader) = (&handles[version % 2], &handles[(version + 1) % 2]);
        let expected = ExpectedVersion::Exact(Version::new(version as u64));
        let append = Append::stream(stream("contract-a"), expected, events([version as u64]));
        let appended = writer
            .append(append)
            .await
            .expect("the other handle's append is known");
        let page = page(
            reader,
            Read::stream(stream("contract-a")).backward().limit(1),
        )
        .await;
        assert_eq!(page.head, appended.position);
        assert_eq!(numbers(&page.events), [version as u64]);
    }
}

/// A watcher wakes for whoever commits.
pub async fn watcher_wakes_for_commit_of_any_handle<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    for turn in 0..4 {
        let mut watcher = handles[0].watch();
        let position = put(&handles[turn % 2], "contract-a", events([turn as u64]))
            .await
            .position;
        let woken = watcher.wait_for(|head| *head >= position).await;
        woken.expect("the store is open");
    }
}
