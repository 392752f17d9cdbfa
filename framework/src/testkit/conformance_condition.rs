//! Conditions: no event that matches may have arrived behind what is known.

use super::conformance::{Backend, all, append, conflict, everything, put, stream, tag, tagged};
use crate::append::{Append, AppendError, ExpectedVersion, Violation};
use crate::position::Position;
use crate::query::{Query, QueryItem};
use crate::store::EventStore as _;

/// A condition rejects what has arrived behind it.
pub async fn append_condition_rejects_later_matching_event<B: Backend>() {
    let place = B::create().await;
    let (store, other) = (place.open().await, place.open().await);
    let seat = || Query::any_tag([tag("seat:1")]);
    let take = |after: u64, query: Query| {
        Append::stream(
            stream("contract-taker"),
            ExpectedVersion::Any,
            vec![tagged(0, &["seat:9"])],
        )
        .unless(query, Position::new(after))
    };
    append(&store, take(0, seat())).await; // position 1
    put(&other, "contract-a", vec![tagged(1, &["seat:2"])]).await; // 2
    append(&store, take(1, seat())).await; // 3: what arrived does not match
    let found = put(&other, "contract-a", vec![tagged(2, &["seat:1", "row:7"])])
        .await
        .position; // 4
    for after in [0, 1, 3] {
        let rejected = conflict(&store, take(after, seat())).await;
        assert_eq!(rejected.violations.len(), 1);
        assert!(
            matches!(&rejected.violations[0], Violation::Condition { found: position, .. } if *position == found),
            "behind {after}: {rejected}"
        );
    }
    append(&store, take(4, seat())).await; // 5: the event is known
    append(&store, take(u64::MAX, seat())).await; // 6
    // All of the tags of an item, and its name, and its category.
    let item = || QueryItem::default().tag(tag("seat:1"));
    let both = Query::all().or(item().tag(tag("row:7")));
    let other_row = Query::all().or(item().tag(tag("row:8")));
    let named = Query::all().or(item().name("contract.numbered"));
    let other_name = Query::all().or(item().name("contract.other"));
    let mut of_a = item();
    of_a.category = Some("contract".to_owned());
    let mut of_b = item();
    of_b.category = Some("contrac".to_owned());
    for (query, rejected) in [
        (both, true),
        (other_row, false),
        (named, true),
        (other_name, false),
        (Query::all().or(of_a), true),
        (Query::all().or(of_b), false),
        (Query::all(), true),
    ] {
        let result = store.append(take(3, query.clone())).await;
        assert_eq!(result.is_err(), rejected, "{query:?}: {result:?}");
    }
}

/// A condition rejects a neighbour of the same moment.
pub async fn append_condition_rejects_concurrent_event<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    let tasks = (0..32).map(|number| {
        let store = handles[number % 2].clone();
        tokio::spawn(async move {
            let event = tagged(number as u64, &["seat:1"]);
            let append = Append::stream(
                stream(&format!("contract-{number}")),
                ExpectedVersion::NoStream,
                vec![event],
            )
            .unless(Query::any_tag([tag("seat:1")]), Position::ZERO);
            match store.append(append).await {
                Ok(_) => true,
                Err(AppendError::Conflict(_)) => false,
                Err(error) => panic!("{error}"),
            }
        })
    });
    let taken = all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(
        taken.iter().filter(|taken| **taken).count(),
        1,
        "the seat was taken twice, or not at all"
    );
    assert_eq!(everything(&handles[0], 100).await.len(), 1);
}
