//! Concurrent and repeated calls of the application functions.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;

use std::collections::BTreeMap;

use factum_memory::MemoryStore;
use futures_util::future::join_all;
use spec_service::app::{AppError, PageQuery, RequestContext};
use spec_service::specs::app::{ListQuery, WriteResult};
use spec_service::specs::domain::{SpecRejection, SpecState};

use memory::{by, create, expecting, keyed, node_on, update};

type WriteOutcome = Result<WriteResult, AppError>;

/// Counts the outcomes: `ok`, or the code of the error.
fn count_by_code(
    outcomes: impl IntoIterator<Item = WriteOutcome>,
) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        let code = outcome.map_or_else(|error| error.code(), |_| "ok");
        *counts.entry(code).or_default() += 1;
    }
    counts
}

/// Runs the calls concurrently, each in its own task.
async fn run_concurrently<F>(calls: impl IntoIterator<Item = F>) -> Vec<WriteOutcome>
where
    F: Future<Output = WriteOutcome> + Send + 'static,
{
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let outcomes = join_all(tasks).await;
    outcomes.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creations_on_two_nodes_store_one_spec() {
    let store = MemoryStore::new();
    let nodes = [node_on(&store).await, node_on(&store).await];
    let calls = (0..50).map(|number| {
        let specs = nodes[number % 2].clone();
        async move { create(&specs, "wanted", &RequestContext::default()).await }
    });
    let outcomes = run_concurrently(calls).await;
    assert_eq!(
        count_by_code(outcomes),
        BTreeMap::from([("ok", 1), ("name_taken", 49)])
    );
    let listed = nodes[0]
        .list(ListQuery::default(), &RequestContext::default())
        .await
        .unwrap();
    assert_eq!(listed.total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_of_one_revision_store_one() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "contended", &by("ann")).await.unwrap().id;
    let calls = (0..50).map(|number| {
        let specs = specs.clone();
        async move { update(&specs, id, &format!("limit: {number}\n"), &expecting(1)).await }
    });
    let outcomes = run_concurrently(calls).await;
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(
            error.facts(),
            [("expected", 1.into()), ("actual", 2.into())]
        );
    }
    let expected = BTreeMap::from([("ok", 1), ("revision_mismatch", 49)]);
    assert_eq!(count_by_code(outcomes), expected);
    assert_eq!(
        specs
            .get(id, None, &RequestContext::default())
            .await
            .unwrap()
            .latest_version,
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_without_revision_are_all_stored() {
    let specs = node_on(&MemoryStore::new()).await;
    let id = create(&specs, "busy", &by("ann")).await.unwrap().id;
    let calls = (0..50).map(|number| {
        let specs = specs.clone();
        async move { update(&specs, id, &format!("limit: {number}\n"), &by("ann")).await }
    });
    let outcomes = run_concurrently(calls).await;
    let mut versions: Vec<u64> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().latest_version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_key_creates_one_spec_on_two_nodes() {
    let store = MemoryStore::new();
    let nodes = [node_on(&store).await, node_on(&store).await];
    let calls = (0..20).map(|number| {
        let specs = nodes[number % 2].clone();
        async move { create(&specs, "limits", &keyed("ann", "k")).await }
    });
    let outcomes: Vec<WriteResult> = run_concurrently(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    let context = RequestContext::default();
    let history = nodes[0].history(outcomes[0].id, PageQuery::default(), &context);
    assert_eq!(history.await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn repeated_request_ignores_later_changes() {
    let specs = node_on(&MemoryStore::new()).await;
    let first = create(&specs, "limits", &keyed("ann", "k")).await.unwrap();
    let publish = RequestContext {
        expected_revision: Some(1),
        ..keyed("ann", "p")
    };
    let published = specs.publish(first.id, None, None, &publish).await.unwrap();
    specs.delete(first.id, None, &by("bob")).await.unwrap();
    let again = create(&specs, "limits", &keyed("ann", "k")).await.unwrap();
    assert_eq!((again, again.state), (first, SpecState::Draft));
    let again = specs.publish(first.id, None, None, &publish).await.unwrap();
    assert_eq!((again, again.revision), (published, 2));
}

#[tokio::test]
async fn idempotency_key_is_scoped_to_actor_and_request() {
    let specs = node_on(&MemoryStore::new()).await;
    let ann = create(&specs, "limits", &keyed("ann", "k")).await.unwrap();
    let bob = create(&specs, "routes", &keyed("bob", "k")).await.unwrap();
    assert_ne!(ann.id, bob.id);
    let other = create(&specs, "other", &keyed("ann", "k"))
        .await
        .unwrap_err();
    assert!(matches!(other, AppError::KeyReused { key } if key == "k"));
    let taken = create(&specs, "limits", &keyed("bob", "k2"))
        .await
        .unwrap_err();
    assert!(matches!(
        taken.refusal(),
        Some(SpecRejection::NameTaken { .. })
    ));
    let empty = create(&specs, "other", &keyed("ann", ""))
        .await
        .unwrap_err();
    assert!(matches!(empty, AppError::InvalidKey { bytes: 0 }));
}
