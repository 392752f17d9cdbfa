//! What becomes of deadlines whose commands are rejected, fail, are not known or cannot be kept.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/reminders.rs"]
mod reminders;

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::prelude::*;
use factum::process_managers::{DEADLINES, FailedWork};
use factum_memory::MemoryStore;
use reminders::{
    DAY, Fire, JAMMED, NotNow, Order, OrderEvent, deadlines, engine, kept, log, place, tell, told,
};

#[tokio::test]
async fn a_rejection_and_a_decision_of_nothing_settle_it() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .fires("a", DAY, Fire::Refuse)
        .fires("b", DAY, Fire::Nothing);
    let set = engine.execute(order).await.unwrap();
    assert_eq!((set.events(), set.version().get()), (&[][..], 0));
    assert_eq!(kept(&engine).await.len(), 4);
    let running = deadlines(&engine).start();
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    assert_eq!(running.failed_deliveries(DEADLINES).await.unwrap(), []);
    running.stop().await;
    assert_eq!(kept(&engine).await, []);
    assert_eq!(log(&engine).await, []);
}

/// What another program executes.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Elsewhere {
    #[id]
    order: String,
}

impl Decide for Elsewhere {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        Ok(tell("elsewhere"))
    }
}

/// What is logged, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_no_running_program_knows_waits_with_a_warning_and_holds_up_no_other() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("b", DAY * 2)).await.unwrap();
    engine.execute(place("2").sets("a", DAY)).await.unwrap();
    let knows_other = || {
        let builder = ProcessManagers::builder(&engine);
        builder
            .deadlines::<(Elsewhere,)>()
            .lease(Duration::from_millis(60))
            .start()
    };
    let other = knows_other();
    clock.advance(DAY * 2);
    other.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await, []);
    assert_eq!(other.failed_deliveries(DEADLINES).await.unwrap(), []);
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let warned = said.matches("due, and not known here").count();
    assert!(warned == 1 && said.contains("Remind"), "{said}");
    let running = deadlines(&engine).start();
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await, ["order-2 a", "order-1 b"]);
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn what_fails_waits_for_somebody_and_holds_up_no_other() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = |order| place(order).fires("a", DAY, Fire::Panic).sets("b", DAY * 2);
    engine.execute(order("1")).await.unwrap();
    engine.execute(order("2")).await.unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY * 2);
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await, ["order-1 b", "order-2 b"]);
    let failed_deliveries = running.failed_deliveries(DEADLINES).await.unwrap();
    let [one, two] = &failed_deliveries[..] else {
        panic!("{failed_deliveries:?}")
    };
    assert_eq!((&*one.instance, &*two.instance), ("order-1/a", "order-2/a"));
    assert_eq!(one.attempts, 2);
    assert!(one.error.contains("it is jammed"), "{one:?}");
    assert!(matches!(&one.work, FailedWork::Command { name, .. } if name == "Remind"));
    let discarded = running.discard_delivery(DEADLINES, one, "nobody needs it");
    discarded.await.unwrap();
    JAMMED.store(false, SeqCst);
    running.retry(DEADLINES).await.unwrap();
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await[2..], ["order-2 a"]);
    running.stop().await;
    let waiting = kept(&engine).await;
    assert!(
        !waiting.iter().any(|it| it.key.contains("/instance/")),
        "{waiting:?}"
    );
}

#[tokio::test]
async fn a_name_has_its_bounds() {
    let (engine, _) = engine(MemoryStore::new());
    for name in ["", "a\nb", &"x".repeat(129)] {
        let rejected = engine
            .execute(place("1").tells("placed").sets(name, DAY))
            .await;
        let Err(error @ ExecuteError::Deadline(_)) = rejected else {
            panic!("{rejected:?}")
        };
        let cut: String = name.chars().take(80).collect();
        let expected =
            format!("the deadline {cut:?}: a name has 1 to 128 bytes without control characters");
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!((log(&engine).await, kept(&engine).await), (vec![], vec![]));
    let longest = "/".repeat(128);
    engine
        .execute(place(&"1".repeat(500)).sets(&longest, DAY))
        .await
        .unwrap();
    assert_eq!(kept(&engine).await.len(), 2);
}

#[tokio::test]
async fn a_command_that_expects_another_version_sets_nothing() {
    let (engine, _) = engine(MemoryStore::new());
    let order = || place("1").tells("placed").sets("a", DAY);
    let rejected = engine.execute(order()).expected_version(3).await;
    assert!(
        matches!(rejected, Err(ExecuteError::Conflict { .. })),
        "{rejected:?}"
    );
    assert_eq!(kept(&engine).await, []);
    engine.execute(order()).expected_version(0).await.unwrap();
    assert_eq!(kept(&engine).await.len(), 2);
}
