//! Cases about snapshots: a snapshot never changes the loaded state.

use bytes::Bytes;

use super::engine::{Count, Counter, retrying_engine};
use super::harness::{Backend, join_all, stream};
use factum_core::error::StoreError;
use factum_core::field::InvalidField;
use factum_core::position::{Position, Version};
use factum_core::snapshot::{MAX_SNAPSHOT, Snapshot, SnapshotStore};
use factum_engine::aggregate::Aggregate as _;
use factum_engine::engine::Engine;

fn snapshot(version: u64, data: Vec<u8>) -> Snapshot {
    Snapshot {
        stream: stream("contract-a"),
        version: Version::new(version),
        position: Position::new(version * 2),
        schema_version: 3,
        data: Bytes::from(data),
    }
}

async fn load(store: &impl SnapshotStore, id: &str) -> Option<Snapshot> {
    store
        .load_snapshot(&stream(id))
        .await
        .expect("the snapshot should load")
}

async fn save(store: &impl SnapshotStore, snapshot: Snapshot) {
    store
        .save_snapshot(snapshot)
        .await
        .expect("the snapshot should be saved");
}

/// A snapshot of the maximum size is saved, and a larger one is rejected.
pub async fn oversized_snapshot_is_rejected<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let largest = snapshot(1, vec![b' '; MAX_SNAPSHOT]);
    save(&store, largest.clone()).await;
    let rejected = store.save_snapshot(snapshot(2, vec![b' '; MAX_SNAPSHOT + 1]));
    let rejected = rejected.await;
    assert!(
        matches!(&rejected, Err(StoreError::Invalid(InvalidField::TooLarge { field, bytes, limit }))
            if field == "snapshot of contract-a" && *bytes == MAX_SNAPSHOT + 1 && *limit == MAX_SNAPSHOT),
        "expected an error for the size, got {rejected:?}"
    );
    let loaded = load(&store, "contract-a").await;
    assert!(
        loaded == Some(largest),
        "the largest snapshot is not loaded"
    );
}

/// A load returns the snapshot with the highest version of the stream.
pub async fn newest_snapshot_is_loaded<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    assert_eq!(load(&store, "contract-a").await, None);
    let all_bytes = snapshot(10, (0..=255).collect());
    save(&store, all_bytes.clone()).await;
    assert_eq!(load(&store, "contract-a").await, Some(all_bytes.clone()));
    save(&store, snapshot(9, vec![1])).await;
    assert_eq!(
        load(&backend.open().await, "contract-a").await,
        Some(all_bytes)
    );
    let newer = snapshot(11, Vec::new());
    save(&store, newer.clone()).await;
    assert_eq!(load(&store, "contract-a").await, Some(newer));
    assert_eq!(load(&store, "contract-b").await, None);
    let of_b = Snapshot {
        stream: stream("contract-b"),
        ..snapshot(7, vec![7])
    };
    save(&store, of_b.clone()).await;
    assert_eq!(load(&store, "contract-b").await, Some(of_b));
    assert_eq!(
        load(&store, "contract-a").await,
        Some(snapshot(11, Vec::new()))
    );
    store
        .clear_snapshots()
        .await
        .expect("the snapshots should be cleared");
    for id in ["contract-a", "contract-b"] {
        assert_eq!(load(&backend.open().await, id).await, None);
    }
}

/// If snapshots are saved concurrently, the one with the highest version remains.
pub async fn concurrent_snapshot_saves_keep_the_newest<B: Backend>() {
    let backend = B::create().await;
    let handles = [backend.open().await, backend.open().await];
    // Several rounds, because in one round the newest snapshot may be saved last by chance.
    for round in 0..8 {
        let id = format!("contract-{round}");
        let of_version = |version: u64| Snapshot {
            stream: stream(&id),
            ..snapshot(version, vec![version as u8])
        };
        let tasks = (0..32_u64).map(|number| {
            let store = handles[number as usize % 2].clone();
            // The versions 1 to 32 in a mixed order.
            let snapshot = of_version(1 + number * 13 % 32);
            tokio::spawn(async move { save(&store, snapshot).await })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
        for store in &handles {
            assert_eq!(load(store, &id).await, Some(of_version(32)));
        }
    }
}

/// The state loaded from a snapshot equals the state from a replay of all events.
pub async fn state_from_snapshot_equals_replay<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let engine = retrying_engine(store.clone());
    for _ in 0..13 {
        let counted = engine.execute(Count { counter: 1 }).await;
        counted.expect("the count should succeed");
    }
    // The engine saves snapshots in the background, so the test saves its own.
    let id = Counter::stream(&1).expect("the stream id should be valid");
    let saved = Snapshot {
        stream: id,
        version: Version::new(10),
        position: Position::new(10),
        schema_version: Counter::SNAPSHOT
            .expect("the counter should have a snapshot policy")
            .schema_version,
        data: Bytes::from_static(br#"{"count":10,"sum":55}"#),
    };
    save(&store, saved).await;
    let with = Engine::new(backend.open().await)
        .load::<Counter>(&1)
        .await
        .expect("the counter should load");
    store
        .clear_snapshots()
        .await
        .expect("the snapshots should be cleared");
    let without = Engine::new(backend.open().await)
        .load::<Counter>(&1)
        .await
        .expect("the counter should load");
    assert_eq!(*with, *without);
    assert_eq!(
        (with.count, with.sum, with.version(), with.position()),
        (13, 91, without.version(), without.position())
    );
}

/// A snapshot that cannot be decoded or has another schema version is ignored.
pub async fn incompatible_snapshot_is_ignored<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let engine = retrying_engine(store.clone());
    for _ in 0..3 {
        let counted = engine.execute(Count { counter: 1 }).await;
        counted.expect("the count should succeed");
    }
    let schema_version = Counter::SNAPSHOT
        .expect("the counter should have a snapshot policy")
        .schema_version;
    for (schema_version, data) in [
        (schema_version, &b"no JSON at all"[..]),
        (schema_version, br#"{"another":"form"}"#),
        (schema_version + 1, br#"{"count":999,"sum":999}"#),
    ] {
        store
            .clear_snapshots()
            .await
            .expect("the snapshots should be cleared");
        let incompatible = Snapshot {
            stream: Counter::stream(&1).expect("the stream id should be valid"),
            version: Version::new(2),
            position: Position::new(2),
            schema_version,
            data: Bytes::copy_from_slice(data),
        };
        save(&store, incompatible).await;
        let counter = Engine::new(backend.open().await)
            .load::<Counter>(&1)
            .await
            .expect("the counter should load");
        assert_eq!((counter.count, counter.sum), (3, 6));
        assert_eq!(counter.version().get(), 3);
    }
}
