//! Time travel: aggregates at a version, at a position, and at a time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use factum::engine::LoadError;
use factum::prelude::*;
use factum::store::Store;
use factum::{Position, Timestamp, Version};
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "gauge")]
enum GaugeEvent {
    Set { to: u64 },
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "gauge", id = u64, event = GaugeEvent, snapshot(every = 3))]
struct Gauge {
    at: u64,
}

impl Apply<GaugeEvent> for Gauge {
    fn apply(&mut self, event: &GaugeEvent) {
        let GaugeEvent::Set { to } = event;
        self.at = *to;
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Gauge)]
struct Set {
    #[id]
    gauge: u64,
    to: u64,
}

impl Decide for Set {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Gauge) -> Result<Events<GaugeEvent>, Self::Error> {
        Ok(GaugeEvent::Set { to: self.to }.into())
    }
}

#[tokio::test]
async fn memory_store_supports_time_travel() {
    assert_time_travel(MemoryStore::new()).await;
}

#[tokio::test]
async fn sqlite_store_supports_time_travel() {
    let dir = tempfile::tempdir().unwrap();
    assert_time_travel(
        SqliteStore::open(dir.path().join("gauge.db"))
            .await
            .unwrap(),
    )
    .await;
}

/// Asserts the state at every version, position and time, with and without cached state.
async fn assert_time_travel(store: impl Store + Clone) {
    let engine = Engine::new(store.clone());
    // The events of the other gauge have every second position.
    for to in 1..=8 {
        engine
            .execute(Set { gauge: 1, to })
            .by("ada")
            .await
            .unwrap();
        engine.execute(Set { gauge: 2, to: 0 }).await.unwrap();
    }
    let history = engine.history::<Gauge>(&1).await.unwrap();
    let uncached = Engine::builder(store).cache_capacity(0).build();
    for engine in [&engine, &uncached] {
        for (version, event) in (1..).zip(&history) {
            let by_version = engine.load::<Gauge>(&1).at_version(version).await.unwrap();
            let by_position = engine
                .load::<Gauge>(&1)
                .at_position(event.record.position)
                .await
                .unwrap();
            let next = event.record.position.plus(1);
            let by_next_position = engine.load::<Gauge>(&1).at_position(next).await.unwrap();
            for gauge in [by_version, by_position, by_next_position] {
                assert_eq!(
                    (gauge.at, gauge.version()),
                    (version, Version::new(version))
                );
            }
            let same_time = history
                .iter()
                .filter(|other| other.record.recorded_at <= event.record.recorded_at);
            let by_time = engine
                .load::<Gauge>(&1)
                .at_time(event.record.recorded_at)
                .await
                .unwrap();
            assert_eq!(by_time.version().get(), same_time.count() as u64);
        }
        let before = engine
            .load::<Gauge>(&1)
            .at_time(Timestamp::from_micros(0))
            .await
            .unwrap();
        assert!(!before.exists());
        let empty = engine
            .load::<Gauge>(&1)
            .at_position(Position::ZERO)
            .await
            .unwrap();
        assert_eq!((*empty).clone(), Gauge::default());
        let missing = engine.load::<Gauge>(&1).at_version(9).await.unwrap_err();
        assert!(
            matches!(missing, LoadError::NoSuchVersion { actual, .. } if actual == Version::new(8))
        );
    }
}

#[tokio::test]
async fn history_starts_after_any_version() {
    let engine = Engine::new(MemoryStore::new());
    for to in 1..=8 {
        engine
            .execute(Set { gauge: 1, to })
            .by("ada")
            .await
            .unwrap();
    }
    let history = engine.history::<Gauge>(&1).await.unwrap();
    let actors: Vec<_> = history
        .iter()
        .map(|event| event.record.metadata.actor.as_deref())
        .collect();
    assert_eq!(actors, [Some("ada"); 8]);
    let seventh = engine.history::<Gauge>(&1).after(6).limit(1).await.unwrap();
    assert_eq!(seventh.len(), 1);
    assert_eq!(seventh[0].event, GaugeEvent::Set { to: 7 });
}
