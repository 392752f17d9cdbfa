//! Many callers of the application functions at once, and one that asks again.

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "support/memory.rs"]
mod memory;

use std::collections::BTreeMap;

use factum_memory::MemoryStore;
use futures_util::future::join_all;
use spec_service::app::{AppError, Context, ListQuery, Written};
use spec_service::domain::{Rejection, SpecState};

use memory::{by, create, expecting, keyed, on, update};

type Answer = Result<Written, AppError>;

/// How often each kind of answer was given: `ok`, or the code of the error.
fn counted(answers: impl IntoIterator<Item = Answer>) -> BTreeMap<&'static str, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        let kind = answer.map_or_else(|error| error.code(), |_| "ok");
        *counted.entry(kind).or_default() += 1;
    }
    counted
}

/// All at once, each in a task of its own.
async fn together<F>(calls: impl IntoIterator<Item = F>) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let answers = join_all(tasks).await;
    answers.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_creations_of_a_name_over_two_instances_one_wins() {
    let store = MemoryStore::new();
    let instances = [on(&store), on(&store)];
    let calls = (0..50).map(|number| {
        let specs = instances[number % 2].clone();
        async move { create(&specs, "wanted", &Context::default()).await }
    });
    let answers = together(calls).await;
    assert_eq!(
        counted(answers),
        BTreeMap::from([("ok", 1), ("name_taken", 49)])
    );
    let listed = instances[0].list(ListQuery::default()).await.unwrap();
    assert_eq!(listed.total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_updates_of_a_revision_one_wins() {
    let specs = on(&MemoryStore::new());
    let id = create(&specs, "contended", &by("ann")).await.unwrap().id;
    let calls = (0..50).map(|number| {
        let specs = specs.clone();
        async move { update(&specs, id, &format!("limit: {number}\n"), &expecting(1)).await }
    });
    let answers = together(calls).await;
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(
            error.facts(),
            [("expected", 1.into()), ("actual", 2.into())]
        );
    }
    let expected = BTreeMap::from([("ok", 1), ("revision_mismatch", 49)]);
    assert_eq!(counted(answers), expected);
    assert_eq!(specs.get(id, None).await.unwrap().latest_version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_updates_of_any_revision_all_happen() {
    let specs = on(&MemoryStore::new());
    let id = create(&specs, "busy", &by("ann")).await.unwrap().id;
    let calls = (0..50).map(|number| {
        let specs = specs.clone();
        async move { update(&specs, id, &format!("limit: {number}\n"), &by("ann")).await }
    });
    let answers = together(calls).await;
    let mut versions: Vec<u64> = answers
        .into_iter()
        .map(|answer| answer.unwrap().latest_version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_creates_one_specification_however_often_and_wherever_it_is_sent() {
    let store = MemoryStore::new();
    let instances = [on(&store), on(&store)];
    let calls = (0..20).map(|number| {
        let specs = instances[number % 2].clone();
        async move { create(&specs, "limits", &keyed("ann", "k")).await }
    });
    let answers: Vec<Written> = together(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(instances[0].history(answers[0].id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_whatever_happened_since() {
    let specs = on(&MemoryStore::new());
    let first = create(&specs, "limits", &keyed("ann", "k")).await.unwrap();
    let publish = Context {
        expected_revision: Some(1),
        ..keyed("ann", "p")
    };
    let published = specs.publish(first.id, None, &publish).await.unwrap();
    specs.delete(first.id, None, &by("bob")).await.unwrap();
    let again = create(&specs, "limits", &keyed("ann", "k")).await.unwrap();
    assert_eq!((again, again.state), (first, SpecState::Draft));
    let again = specs.publish(first.id, None, &publish).await.unwrap();
    assert_eq!((again, again.revision), (published, 2));
}

#[tokio::test]
async fn a_key_belongs_to_one_actor_and_one_request() {
    let specs = on(&MemoryStore::new());
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
        taken,
        AppError::Rejected(Rejection::NameTaken { .. })
    ));
    let empty = create(&specs, "other", &keyed("ann", ""))
        .await
        .unwrap_err();
    assert!(matches!(empty, AppError::Key { bytes: 0 }));
}
