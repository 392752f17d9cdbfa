//! A specification with many versions: its state and its reads do not grow with the contents.

#[allow(dead_code, reason = "shared by several tests")]
#[path = "support/memory.rs"]
mod memory;

use std::time::{Duration, Instant};

use factum::prelude::*;
use factum_memory::MemoryStore;
use spec_service::app::{Cursor, PageQuery};
use spec_service::specs::domain::Spec;

use memory::{by, create, node_on, update};

const VERSIONS: u64 = 10_000;

fn content(version: u64) -> String {
    format!("limit: {version}\ntext: {}\n", "x".repeat(1_000))
}

#[tokio::test]
async fn many_versions_keep_state_and_reads_small() {
    let store = MemoryStore::new();
    let specs = node_on(&store).await;
    let ada = by("ada");
    let id = create(&specs, "limits", &ada).await.unwrap().id;
    let mut rounds = Vec::new();
    for round in 0..10 {
        let started = Instant::now();
        for version in round * 1_000 + 2..=round * 1_000 + 1_001 {
            update(&specs, id, &content(version), &ada).await.unwrap();
        }
        rounds.push(started.elapsed());
    }
    let latest = VERSIONS + 1;
    // A write must not read all versions before it. Other programs can slow down some rounds.
    let (first, last) = (rounds[..3].iter().max(), rounds[7..].iter().min());
    assert!(last < first.map(|first| *first * 4).as_ref(), "{rounds:?}");

    // Another node has no cached state.
    let other = node_on(&store).await;
    let engine = Engine::new(store);
    let state = engine.load::<Spec>(&id).await.unwrap();
    assert_eq!(state.life().unwrap().latest(), latest);
    let bytes = serde_json::to_vec(&*state).unwrap().len() as u64;
    assert!(bytes < VERSIONS * 8, "{bytes} bytes of state");

    let started = Instant::now();
    let version = other.version(id, latest, &ada).await.unwrap();
    assert_eq!(version.content.as_str(), content(latest));
    let after = Some(Cursor(latest - 2));
    let page = other
        .versions(id, PageQuery { limit: 50, after }, &ada)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 2);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
