//! Snapshots: a cache, and nothing more.

use bytes::Bytes;

use super::conformance::{Backend, all, stream};
use super::conformance_engine::{Count, Counter, patient};
use crate::aggregate::Aggregate as _;
use crate::engine::Engine;
use crate::position::{Position, Version};
use crate::snapshot::{Snapshot, SnapshotStore};

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
        .expect("snapshots can be read")
}

async fn save(store: &impl SnapshotStore, snapshot: Snapshot) {
    store
        .save_snapshot(snapshot)
        .await
        .expect("snapshots can be written");
}

/// The newest snapshot comes back.
pub async fn newest_snapshot_is_loaded<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    assert_eq!(load(&store, "contract-a").await, None);
    let all_bytes = snapshot(10, (0..=255).collect());
    save(&store, all_bytes.clone()).await;
    assert_eq!(load(&store, "contract-a").await, Some(all_bytes.clone()));
    save(&store, snapshot(9, vec![1])).await;
    assert_eq!(
        load(&place.open().await, "contract-a").await,
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
        .expect("snapshots can be cleared");
    for id in ["contract-a", "contract-b"] {
        assert_eq!(load(&place.open().await, id).await, None);
    }
}

/// Of snapshots saved together the newest stays.
pub async fn concurrent_snapshot_saves_keep_the_newest<B: Backend>() {
    let place = B::create().await;
    let handles = [place.open().await, place.open().await];
    // In several rounds: in one, the newest may happen to be the last.
    for round in 0..8 {
        let id = format!("contract-{round}");
        let of_version = |version: u64| Snapshot {
            stream: stream(&id),
            ..snapshot(version, vec![version as u8])
        };
        let tasks = (0..32_u64).map(|number| {
            let store = handles[number as usize % 2].clone();
            // Every version from 1 to 32, in a mixed order.
            let snapshot = of_version(1 + number * 13 % 32);
            tokio::spawn(async move { save(&store, snapshot).await })
        });
        all(tasks.collect::<Vec<_>>()).await;
        for store in &handles {
            assert_eq!(load(store, &id).await, Some(of_version(32)));
        }
    }
}

/// State from a snapshot equals a replay.
pub async fn state_from_snapshot_equals_replay<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let engine = patient(store.clone());
    for _ in 0..13 {
        engine.execute(Count { counter: 1 }).await.expect("a count");
    }
    // The engine saves snapshots beside its work: this one is made sure of.
    let id = Counter::stream(&1).expect("a stream");
    let taken = Snapshot {
        stream: id,
        version: Version::new(10),
        position: Position::new(10),
        schema_version: Counter::SNAPSHOT.expect("a policy").schema_version,
        data: Bytes::from_static(br#"{"count":10,"sum":55}"#),
    };
    save(&store, taken).await;
    let with = Engine::new(place.open().await)
        .load::<Counter>(&1)
        .await
        .expect("a counter");
    store
        .clear_snapshots()
        .await
        .expect("snapshots can be cleared");
    let without = Engine::new(place.open().await)
        .load::<Counter>(&1)
        .await
        .expect("a counter");
    assert_eq!(*with, *without);
    assert_eq!(
        (with.count, with.sum, with.version(), with.position()),
        (13, 91, without.version(), without.position())
    );
}

/// A snapshot that does not fit is ignored.
pub async fn incompatible_snapshot_is_ignored<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let engine = patient(store.clone());
    for _ in 0..3 {
        engine.execute(Count { counter: 1 }).await.expect("a count");
    }
    let schema_version = Counter::SNAPSHOT.expect("a policy").schema_version;
    for (schema_version, data) in [
        (schema_version, &b"no JSON at all"[..]),
        (schema_version, br#"{"another":"form"}"#),
        (schema_version + 1, br#"{"count":999,"sum":999}"#),
    ] {
        store
            .clear_snapshots()
            .await
            .expect("snapshots can be cleared");
        let unfit = Snapshot {
            stream: Counter::stream(&1).expect("a stream"),
            version: Version::new(2),
            position: Position::new(2),
            schema_version,
            data: Bytes::copy_from_slice(data),
        };
        save(&store, unfit).await;
        let counter = Engine::new(place.open().await)
            .load::<Counter>(&1)
            .await
            .expect("a counter");
        assert_eq!((counter.count, counter.sum), (3, 6));
        assert_eq!(counter.version().get(), 3);
    }
}
