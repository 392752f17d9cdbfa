//! Tests of the store with seeded faults: it injects exactly the faults that it reports.

use factum::store::Metadata;
use factum::store::{
    Append, AppendError, ContentType, EventStore as _, ExpectedVersion, IdempotencyKey, NewEvent,
    Query, Read, Snapshot, SnapshotStore as _, StoreError,
};
use factum::{Position, StreamId, Version};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty};

fn stream() -> StreamId {
    "account-1".parse().expect("a valid stream id")
}

fn append() -> Append {
    let event = NewEvent {
        id: uuid::Uuid::now_v7(),
        name: "account.opened".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: std::sync::Arc::new(Metadata::default()),
        personal: Vec::new(),
    };
    Append::stream(stream(), ExpectedVersion::Any, vec![event])
}

fn faulty(faults: Faults) -> Faulty<MemoryStore> {
    Faulty::new(MemoryStore::new(), 7, faults)
}

fn head(store: &Faulty<MemoryStore>) -> u64 {
    store.store().watch().borrow().get()
}

/// Returns the outcomes of some appends and reads, one letter for each.
async fn outcomes(seed: u64) -> String {
    let store = Faulty::new(MemoryStore::new(), seed, Faults::default());
    let mut outcomes = String::new();
    for number in 0..60 {
        let key = IdempotencyKey::new(number.to_string(), b"");
        outcomes.push(match store.append(append().idempotency_key(key)).await {
            Ok(_) => '.',
            Err(AppendError::Store(StoreError::Unavailable(_))) => 'u',
            Err(AppendError::Store(StoreError::Interrupted(_))) => 'i',
            Err(error) => panic!("{error:?}"),
        });
        outcomes.push(match store.read(Read::all(Query::all())).await {
            Ok(_) => '_',
            Err(StoreError::Unavailable(_)) => 'U',
            Err(StoreError::Interrupted(_)) => 'I',
            Err(error) => panic!("{error:?}"),
        });
    }
    outcomes
}

#[tokio::test]
async fn faults_depend_only_on_seed_and_calls() {
    let found = outcomes(7).await;
    assert_eq!(found, outcomes(7).await);
    assert_ne!(found, outcomes(8).await);
    for outcome in ['.', 'u', 'i', '_', 'U', 'I'] {
        assert!(found.contains(outcome), "no {outcome} in {found}");
    }
}

#[tokio::test]
async fn rejected_rolled_back_or_unsent_append_stores_nothing() {
    let none = Faults::NONE;
    let rejected = Faults {
        rejected: 1.0,
        ..none
    };
    let rolled_back = Faults {
        rolled_back: 1.0,
        ..none
    };
    for store in [rejected, rolled_back].map(faulty) {
        let failed = store.append(append()).await;
        let unavailable = matches!(failed, Err(AppendError::Store(StoreError::Unavailable(_))));
        assert!(unavailable, "{failed:?}");
        assert_eq!((head(&store), store.injected()), (0, 1));
    }
    let store = faulty(Faults {
        unsent: 1.0,
        ..none
    });
    let failed = store.append(append()).await;
    assert_eq!(
        interrupted(failed),
        "injected fault in append 1 with seed 7: the request was lost"
    );
    assert_eq!((head(&store), store.injected()), (0, 1));
}

/// Returns the cause of an interrupted append.
fn interrupted(result: Result<factum::store::Appended, AppendError>) -> String {
    match result {
        Err(AppendError::Store(StoreError::Interrupted(cause))) => cause.to_string(),
        result => panic!("{result:?}"),
    }
}

#[tokio::test]
async fn unanswered_append_is_stored() {
    let store = faulty(Faults {
        unanswered: 1.0,
        ..Faults::NONE
    });
    let failed = store.append(append()).await;
    assert_eq!(
        interrupted(failed),
        "injected fault in append 1 with seed 7: the response was lost"
    );
    assert_eq!((head(&store), store.injected()), (1, 1));
}

#[tokio::test]
async fn dropped_append_is_stored_at_most_once() {
    let store = faulty(Faults {
        dropped: 1.0,
        ..Faults::NONE
    });
    let failed = store.append(append()).await;
    assert_eq!(
        interrupted(failed),
        "injected fault in append 1 with seed 7: the future of the append was dropped"
    );
    assert!(head(&store) <= 1);
}

#[tokio::test]
async fn only_append_with_key_is_sent_twice() {
    let store = faulty(Faults {
        twice: 1.0,
        ..Faults::NONE
    });
    store.append(append()).await.expect("the append succeeds");
    assert_eq!((head(&store), store.injected()), (1, 0));
    let key = IdempotencyKey::new("req-7", b"");
    let appended = store
        .append(append().idempotency_key(key))
        .await
        .expect("the append succeeds");
    assert_eq!(appended.position, Position::new(2));
    assert_eq!((head(&store), store.injected()), (2, 1));
}

#[tokio::test]
async fn read_faults_apply_to_all_calls_but_appends() {
    let store = faulty(Faults {
        reads: 1.0,
        ..Faults::NONE
    });
    store.append(append()).await.expect("the append succeeds");
    let snapshot = Snapshot {
        stream: stream(),
        version: Version::new(1),
        position: Position::new(1),
        schema_version: 1,
        data: "{}".into(),
    };
    assert!(store.read(Read::all(Query::all())).await.is_err());
    assert!(
        store
            .find(&IdempotencyKey::new("req-7", b""))
            .await
            .is_err()
    );
    assert!(store.save_snapshot(snapshot).await.is_err());
    assert!(store.load_snapshot(&stream()).await.is_err());
    assert!(store.clear_snapshots().await.is_err());
    assert_eq!(store.injected(), 5);
}

#[tokio::test]
async fn watch_loses_no_change_despite_spurious_wakeups() {
    let store = faulty(Faults {
        wakes: 1.0,
        ..Faults::DELAYS
    });
    let mut watcher = store.watch();
    watcher.changed().await.expect("the store is open");
    assert_eq!(*watcher.borrow_and_update(), Position::ZERO);
    for number in 1..=5 {
        store.append(append()).await.expect("the append succeeds");
        let woken = watcher
            .wait_for(|head| *head >= Position::new(number))
            .await;
        assert_eq!(*woken.expect("the store is open"), Position::new(number));
    }
}
