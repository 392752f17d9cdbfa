//! Deadlines whose commands are rejected, fail, are unknown, or are not valid.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/reminders.rs"]
mod reminders;

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::prelude::*;
use factum::runtime::DeliveryWork;
use factum_memory::MemoryStore;
use reminders::{
    DAY, Fire, JAMMED, NotNow, Order, OrderEvent, deadline_documents, deadlines, engine, log,
    noted, notes, place,
};

#[tokio::test]
async fn rejection_or_empty_decision_completes_a_deadline() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .fires("a", DAY, Fire::Reject)
        .fires("b", DAY, Fire::Nothing);
    let set = engine.execute(order).await.unwrap();
    assert_eq!((set.events(), set.version().get()), (&[][..], 0));
    assert_eq!(deadline_documents(&engine).await.len(), 4);
    let running = deadlines(&engine).start().await.unwrap();
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    let handle = running.deadlines().unwrap();
    assert_eq!(handle.failed_deliveries().await.unwrap(), []);
    running.stop().await;
    assert_eq!(deadline_documents(&engine).await, []);
    assert_eq!(log(&engine).await, []);
}

/// A command that only another program executes.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Elsewhere {
    #[id]
    order: String,
}

impl Decide for Elsewhere {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        Ok(noted("elsewhere"))
    }
}

/// Captured log output.
#[derive(Clone, Default)]
struct LogOutput(Arc<Mutex<Vec<u8>>>);

impl Write for LogOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn unknown_command_waits_with_a_warning_and_blocks_no_other() {
    let output = LogOutput::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("b", DAY * 2)).await.unwrap();
    engine.execute(place("2").sets("a", DAY)).await.unwrap();
    let other = Runtime::builder(&engine)
        .deadlines::<(Elsewhere,)>()
        .lease(Duration::from_millis(60))
        .start()
        .await
        .unwrap();
    clock.advance(DAY * 2);
    other.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await, []);
    let handle = other.deadlines().unwrap();
    assert_eq!(handle.failed_deliveries().await.unwrap(), []);
    let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    let warned = text.matches("it stays due").count();
    assert!(warned == 1 && text.contains("Remind"), "{text}");
    let running = deadlines(&engine).start().await.unwrap();
    running.wait_until_idle().await.unwrap();
    assert_eq!(notes(&engine).await, ["order-2 a", "order-1 b"]);
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn failed_deadline_waits_for_retry_and_blocks_no_other() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = |order| place(order).fires("a", DAY, Fire::Panic).sets("b", DAY * 2);
    engine.execute(order("1")).await.unwrap();
    engine.execute(order("2")).await.unwrap();
    let running = deadlines(&engine).start().await.unwrap();
    clock.advance(DAY * 2);
    running.wait_until_idle().await.unwrap();
    assert_eq!(notes(&engine).await, ["order-1 b", "order-2 b"]);
    let handle = running.deadlines().unwrap();
    let failed_deliveries = handle.failed_deliveries().await.unwrap();
    let [one, two] = &failed_deliveries[..] else {
        panic!("{failed_deliveries:?}")
    };
    assert_eq!((&*one.instance, &*two.instance), ("order-1/a", "order-2/a"));
    assert_eq!(one.attempts, 2);
    assert!(one.error.contains("it is jammed"), "{one:?}");
    assert!(matches!(&one.work, DeliveryWork::Command { name, .. } if name == "Remind"));
    let discarded = handle.discard_delivery(one, "not needed");
    discarded.await.unwrap();
    JAMMED.store(false, SeqCst);
    handle.retry_deliveries().await.unwrap();
    running.wait_until_idle().await.unwrap();
    assert_eq!(notes(&engine).await[2..], ["order-2 a"]);
    running.stop().await;
    let documents = deadline_documents(&engine).await;
    assert!(
        !documents
            .iter()
            .any(|document| document.key.contains("/instance/")),
        "{documents:?}"
    );
}

#[tokio::test]
async fn deadline_name_is_validated() {
    let (engine, _) = engine(MemoryStore::new());
    for name in ["", "a\nb", &"x".repeat(129)] {
        let rejected = engine
            .execute(place("1").notes("placed").sets(name, DAY))
            .await;
        let Err(error @ ExecuteError::Deadline(_)) = rejected else {
            panic!("{rejected:?}")
        };
        let truncated: String = name.chars().take(80).collect();
        let expected = format!(
            "invalid deadline {truncated:?}: a name has 1 to 128 bytes without control characters"
        );
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(
        (log(&engine).await, deadline_documents(&engine).await),
        (vec![], vec![])
    );
    let longest = "/".repeat(128);
    engine
        .execute(place(&"1".repeat(500)).sets(&longest, DAY))
        .await
        .unwrap();
    assert_eq!(deadline_documents(&engine).await.len(), 2);
}

#[tokio::test]
async fn conflicting_command_sets_no_deadline() {
    let (engine, _) = engine(MemoryStore::new());
    let order = || place("1").notes("placed").sets("a", DAY);
    let rejected = engine.execute(order()).expected_version(3).await;
    assert!(
        matches!(rejected, Err(ExecuteError::Conflict { .. })),
        "{rejected:?}"
    );
    assert_eq!(deadline_documents(&engine).await, []);
    engine.execute(order()).expected_version(0).await.unwrap();
    assert_eq!(deadline_documents(&engine).await.len(), 2);
}
