//! Cases about append conditions.

use super::harness::{Backend, all_events, append, conflict, join_all, put, stream, tag, tagged};
use factum_core::append::{Append, AppendError, ExpectedVersion, Violation};
use factum_core::position::Position;
use factum_core::query::{Query, QueryItem};
use factum_core::store::EventStore as _;

/// An append condition fails if a matching event is stored after its position.
pub async fn append_condition_rejects_later_matching_event<B: Backend>() {
    let backend = B::create().await;
    let (store, other) = (backend.open().await, backend.open().await);
    let seat = || Query::any_tag([tag("seat:1")]);
    let take = |after: u64, query: Query| {
        Append::stream(
            stream("contract-taker"),
            ExpectedVersion::Any,
            vec![tagged(0, &["seat:9"])],
        )
        .condition(query, Position::new(after))
    };
    append(&store, take(0, seat())).await; // position 1
    put(&other, "contract-a", vec![tagged(1, &["seat:2"])]).await; // 2
    append(&store, take(1, seat())).await; // 3: the event at 2 does not match
    let found = put(&other, "contract-a", vec![tagged(2, &["seat:1", "row:7"])])
        .await
        .position; // 4
    for after in [0, 1, 3] {
        let rejected = conflict(&store, take(after, seat())).await;
        assert_eq!(rejected.violations.len(), 1);
        assert!(
            matches!(&rejected.violations[0], Violation::Condition { found: position, .. } if *position == found),
            "a condition after position {after} must report the event at {found}, but reported: {rejected}"
        );
    }
    append(&store, take(4, seat())).await; // 5: no matching event after position 4
    append(&store, take(u64::MAX, seat())).await; // 6
    // An item matches if all of its tags, its event type and its category match.
    let item = || QueryItem::default().tag(tag("seat:1"));
    let both = Query::from(item().tag(tag("row:7")));
    let other_row = Query::from(item().tag(tag("row:8")));
    let named = Query::from(item().event_type("contract.numbered"));
    let other_name = Query::from(item().event_type("contract.other"));
    let mut of_a = item();
    of_a.category = Some("contract".to_owned());
    let mut of_b = item();
    of_b.category = Some("contrac".to_owned());
    for (query, conflicts) in [
        (both, true),
        (other_row, false),
        (named, true),
        (other_name, false),
        (Query::from(of_a), true),
        (Query::from(of_b), false),
        (Query::all(), true),
    ] {
        let result = store.append(take(3, query.clone())).await;
        let rule = if conflicts {
            "must conflict"
        } else {
            "must succeed"
        };
        assert_eq!(
            result.is_err(),
            conflicts,
            "an append with the condition {query:?} {rule}, but returned {result:?}"
        );
    }
}

/// If concurrent appends have the same condition and match it, exactly one of them succeeds.
pub async fn append_condition_rejects_concurrent_event<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    let tasks = (0..32).map(|number| {
        let store = handles[number % 2].clone();
        tokio::spawn(async move {
            let event = tagged(number as u64, &["seat:1"]);
            let append = Append::stream(
                stream(&format!("contract-{number}")),
                ExpectedVersion::NoStream,
                vec![event],
            )
            .condition(Query::any_tag([tag("seat:1")]), Position::ZERO);
            match store.append(append).await {
                Ok(_) => true,
                Err(AppendError::Conflict(_)) => false,
                Err(error) => panic!("the append must succeed or conflict, but failed: {error}"),
            }
        })
    });
    let stored = join_all(tasks.collect::<Vec<_>>()).await;
    assert_eq!(
        stored.iter().filter(|stored| **stored).count(),
        1,
        "exactly one of the concurrent appends must succeed"
    );
    assert_eq!(all_events(&handles[0], 100).await.len(), 1);
}
