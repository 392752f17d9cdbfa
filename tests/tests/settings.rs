//! Extreme settings are rejected when the engine or the runtime is built.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use factum::Position;
use factum::command::SnapshotPolicy;
use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError, HandlerOptions, RuntimeBuilder, StartError};
use factum::store::Query;
use factum_memory::MemoryStore;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
enum BellEvent {
    Rung,
}

struct Ears;

impl EventHandler<BellEvent> for Ears {
    async fn handle(&self, _: &Recorded<BellEvent>) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// A projection without partitions, which the derive would reject.
#[derive(Default)]
struct Nowhere;

impl Projection for Nowhere {
    const NAME: &'static str = "nowhere";
    const VERSION: u32 = 1;
    const PARTITIONS: u16 = 0;
    type Events = BellEvent;
}

impl Project<BellEvent> for Nowhere {
    fn project(&mut self, _: &Recorded<BellEvent>) {}
}

async fn error(set: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) -> String {
    let builder = Runtime::builder(&Engine::new(MemoryStore::new()));
    let error = set(builder).start().await.unwrap_err();
    assert!(matches!(error, StartError::InvalidSetting(_)), "{error:?}");
    error.to_string()
}

fn policy(attempts: u32, base: Duration, cap: Duration) -> RetryPolicy {
    RetryPolicy {
        attempts,
        base,
        cap,
    }
}

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn runtime_rejects_extreme_durations() {
    let lease = |lease| error(move |builder| builder.lease(lease));
    let rule = "expected 10ms to 86400s";
    assert_eq!(
        lease(Duration::ZERO).await,
        format!("invalid `lease`: 0ns; {rule}")
    );
    let longest = lease(Duration::MAX).await;
    assert!(
        longest.starts_with("invalid `lease`: 18446744073709551615"),
        "{longest}"
    );
    let retry = |policy| error(move |builder| builder.retry(policy));
    assert_eq!(
        retry(policy(0, Duration::ZERO, Duration::ZERO)).await,
        "invalid `attempts` of a retry policy: 0; expected at least 1"
    );
    assert_eq!(
        retry(policy(1, Duration::from_secs(2), Duration::from_secs(1))).await,
        "invalid `base` of a retry policy: 2s; expected at most its `cap`, 1s"
    );
    assert_eq!(
        retry(policy(1, Duration::from_secs(2), DAY * 2)).await,
        "invalid `cap` of a retry policy: 172800s; expected at most 86400s"
    );
}

#[tokio::test]
async fn runtime_rejects_extreme_numbers() {
    let concurrency = |commands| error(move |builder| builder.concurrency(commands));
    assert_eq!(
        concurrency(0).await,
        "invalid `concurrency`: 0; expected 1 to 10000"
    );
    assert!(
        concurrency(usize::MAX)
            .await
            .contains("expected 1 to 10000")
    );
    for streams in [0, usize::MAX] {
        let options = HandlerOptions::new(StartFrom::Beginning).concurrency(streams);
        let error = error(|builder| builder.handler("ears", Ears, options)).await;
        assert_eq!(
            error,
            format!(
                "invalid `concurrency` of event handler \"ears\": {streams}; expected 1 to 10000"
            )
        );
    }
    let model = factum::runtime::InMemory::<Nowhere>::new();
    assert_eq!(
        error(|builder| builder.projection(model)).await,
        "invalid `partitions` of projection \"nowhere\": 0; expected 1 to 1000"
    );
    let name = error(|builder| builder.node_name("a\nb")).await;
    assert!(name.starts_with("invalid `node_name` \"a\\nb\""), "{name}");
}

#[test]
#[should_panic(expected = "invalid `attempts` of a retry policy: 0; expected at least 1")]
fn engine_rejects_retry_policy_without_attempts() {
    let builder = Engine::builder(MemoryStore::new());
    let _ = builder.retry(policy(0, Duration::ZERO, Duration::ZERO));
}

#[test]
#[should_panic(expected = "invalid `cap` of a retry policy")]
fn engine_rejects_endless_delays() {
    let builder = Engine::builder(MemoryStore::new());
    let _ = builder.retry(policy(1, Duration::ZERO, Duration::MAX));
}

#[test]
#[should_panic(expected = "invalid `cache_capacity`: 18446744073709551615; expected at most")]
fn engine_rejects_cache_without_bounds() {
    let _ = Engine::builder(MemoryStore::new()).cache_capacity(usize::MAX);
}

#[test]
#[should_panic(expected = "invalid `page_size`: 0; expected 1 to 1000")]
fn subscription_rejects_empty_pages() {
    let engine = Engine::new(MemoryStore::new());
    let _ = engine.subscribe(Query::all(), Position::ZERO).page_size(0);
}

#[test]
#[should_panic(expected = "invalid number of events between two snapshots: 0")]
fn snapshot_policy_rejects_zero_events() {
    let _ = SnapshotPolicy::<u32>::json(0, 1);
}
