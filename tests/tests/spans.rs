//! The `tracing` spans of a command, of its reads and appends, and of a projection.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use factum::prelude::*;
use factum_memory::MemoryStore;
use tracing::Level;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::format::FmtSpan;
use uuid::Uuid;

use log::Log;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
enum LampEvent {
    Switched,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u64, event = LampEvent)]
struct Lamp;

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, _: &LampEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Switch {
    #[id]
    lamp: u64,
}

impl Decide for Switch {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(LampEvent::Switched.into())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the lamp {0} is broken")]
struct Broken(u64);

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct Repair {
    #[id]
    lamp: u64,
}

impl Decide for Repair {
    type Error = Broken;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Broken> {
        Err(Broken(self.lamp))
    }
}

#[derive(Projection, Default)]
#[projection(name = "lamps", events = LampEvent)]
struct Lamps;

impl Project<LampEvent> for Lamps {
    fn project(&mut self, _: &Recorded<LampEvent>) {}
}

#[tokio::test]
async fn command_spans_record_streams_attempts_and_position() {
    let log = Log::default();
    let spans = FmtSpan::CLOSE;
    let _default = tracing::subscriber::set_default(log.subscriber(Level::DEBUG, spans));
    let work = async {
        let engine = Engine::new(MemoryStore::new());
        let lamps = InMemory::<Lamps>::new();
        let runtime = Runtime::builder(&engine)
            .projection(lamps)
            .start()
            .await
            .unwrap();
        let switch = engine.execute(Switch { lamp: 7 });
        let receipt = switch.correlation(Uuid::from_u128(7)).await.unwrap();
        runtime.wait_for(receipt.position()).await.unwrap();
        runtime.stop().await;
    };
    work.with_current_subscriber().await;
    let log = log.text();
    for expected in [
        r#"execute{command="Switch" correlation=00000000-0000-0000-0000-000000000007 streams=[StreamId(lamp-7)] outcome="done" attempts=1 position=1}: factum"#,
        ":load:read{stream=lamp-7 after=0}: factum",
        ":load: factum",
        ":decide{attempts=1}: factum",
        ":append{events=1 position=1 versions=[(StreamId(lamp-7), Version(1))]}: factum",
        r#"consumer{name="lamps"}:read{after=0}: factum"#,
        r#"consumer{name="lamps"}:project{events=1}: factum"#,
    ] {
        assert!(log.contains(expected), "no {expected} in:\n{log}");
    }
}

#[tokio::test]
async fn conflict_and_retry_are_logged_at_debug() {
    let log = Log::default();
    let spans = FmtSpan::NONE;
    let _default = tracing::subscriber::set_default(log.subscriber(Level::DEBUG, spans));
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    engine.execute(Switch { lamp: 7 }).await.unwrap();
    Engine::new(store)
        .execute(Switch { lamp: 7 })
        .await
        .unwrap();
    engine.execute(Switch { lamp: 7 }).await.unwrap();
    let log = log.text();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("DEBUG execute"))
        .collect();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(
        count("append conflicted with another writer attempts=1 conflict="),
        1,
        "{log}"
    );
    assert_eq!(
        count("retrying the command after a conflict attempts=1 pause="),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn commands_that_are_not_executed_have_an_outcome() {
    let log = Log::default();
    let _default = tracing::subscriber::set_default(log.subscriber(Level::DEBUG, FmtSpan::CLOSE));
    let store = MemoryStore::new();
    let engine = Engine::new(store.clone());
    engine.execute(Repair { lamp: 7 }).await.unwrap_err();
    let conflict = engine.execute(Switch { lamp: 7 }).expected_version(3);
    conflict.await.unwrap_err();
    let invalid = engine.execute(Switch { lamp: 7 }).idempotency_key("");
    invalid.await.unwrap_err();
    let log = log.text();
    for expected in [
        r#"command not executed outcome="rejected" error="the lamp 7 is broken""#,
        r#"command not executed outcome="conflict" error="conflict: lamp-7 is at version 0, expected version 3 (before the command was decided)"#,
        r#"command not executed outcome="invalid" error="invalid idempotency key"#,
        r#"execute{command="Repair""#,
        r#"outcome="rejected"}"#,
        r#"outcome="invalid"}"#,
    ] {
        assert!(log.contains(expected), "no {expected} in:\n{log}");
    }
}
