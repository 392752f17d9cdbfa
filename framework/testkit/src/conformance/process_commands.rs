//! Cases about stored commands of process managers whose schema changes.

use super::engine::retrying_engine;
use super::harness::Backend;
use super::process_lamps::{Lamp, LampEvent, Watch, idle, lamp, processes, put_out_of, report};
use super::shop::DAY;
use crate::VirtualClock;
use factum::prelude::*;
use factum_core::store::EventStore as _;
use factum_core::timestamp::Timestamp;
use factum_engine::clock::Clock as _;
use factum_engine::process::{Correlation, Deadline, Reactions, Rejection};
use factum_engine::upcast::UpcastError;
use factum_runtime::consumer::ControlError;
use factum_runtime::process::FailedDelivery;
use factum_runtime::{Runtime, RuntimeBuilder, StartFrom};

/// The command `PutOut` with schema version 3: it counts in tens and can be rejected.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Lamp, name = "PutOut", version = 3, upcast = [in_tens, may_be_rejected])]
struct PutOut3 {
    #[id]
    lamp: u64,
    tens: u64,
    rejected: bool,
}

fn in_tens(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let touches = old["touches"].as_u64().ok_or("no touches")?;
    old["tens"] = (touches * 10).into();
    Ok(old)
}

/// Marks the commands for lamp 3 to be rejected.
fn may_be_rejected(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    old["rejected"] = (old["lamp"] == 3).into();
    Ok(old)
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the lamp must stay lit")]
struct MustStayLit;

impl Decide for PutOut3 {
    type Error = MustStayLit;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, MustStayLit> {
        let (lamp, touches) = (self.lamp, self.tens);
        match self.rejected {
            true => Err(MustStayLit),
            false => Ok(LampEvent::PutOut { lamp, touches }.into()),
        }
    }
}

/// [`Watch`] in a version that sends [`PutOut3`].
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "watch", id = u64, events = LampEvent, commands = PutOut3)]
struct WatchInTens {
    lamp: u64,
    touches: u64,
}

impl Apply<LampEvent> for WatchInTens {
    fn apply(&mut self, event: &LampEvent) {
        if let LampEvent::Lit { lamp, .. } = event {
            self.lamp = *lamp;
        }
    }
}

impl React<LampEvent> for WatchInTens {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u64> {
        lamp(&event.event)
    }

    fn react(&self, _: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        let (lamp, tens, rejected) = (self.lamp, 1, false);
        then.send(PutOut3 {
            lamp,
            tens,
            rejected,
        });
    }
}

impl Respond for WatchInTens {
    /// Sends the rejected command again; fails if the rejection does not contain it in the current schema.
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>) {
        let command = rejection.of::<PutOut3>();
        let command = command.expect("the rejected command should have the current schema");
        let rejected = false;
        then.send(PutOut3 {
            rejected,
            ..command
        });
    }

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

/// Sets a deadline that puts a lamp out, without a process manager.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
struct BurnUntil {
    #[id]
    lamp: u64,
    until: Timestamp,
}

impl Decide for BurnUntil {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        let (lamp, touches) = (self.lamp, 7);
        let put_out = super::process_lamps::PutOut { lamp, touches };
        Ok(Events::none().deadline("time", self.until, put_out))
    }
}

/// Returns the process instances that have a waiting failed delivery.
async fn failed_deliveries(running: &Runtime) -> Vec<String> {
    let process = running.process_named("watch");
    let process = process.expect("the process manager should run");
    let listed = process.deliveries().failed_deliveries().await;
    let listed = listed.expect("the failed deliveries should be readable");
    let waiting = listed.into_iter().filter(FailedDelivery::is_waiting);
    waiting.map(|delivery| delivery.instance).collect()
}

async fn retry(running: &Runtime) -> Result<(), ControlError> {
    let process = running.process_named("watch")?;
    process.deliveries().retry_deliveries().await
}

/// Stored commands of an older schema are upcast before newer code executes them.
///
/// This holds for failed deliveries, for commands that wait after them, and for commands of deadlines. A rejection
/// contains the command in the current schema.
pub async fn stored_commands_are_upcast<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let clock = VirtualClock::new();
    let engine = Engine::builder(store.clone()).clock(clock.clone()).build();
    let until = clock.now() + DAY;
    let old = processes(store.clone(), &clock, 1)
        .process::<Watch>(StartFrom::Beginning)
        .start()
        .await
        .expect("the runtime should start");
    for lamp in [1, 3] {
        report(&engine, lamp, LampEvent::Jammed).await;
        report(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        for _ in 0..2 {
            let until = Some(until);
            report(&engine, lamp, LampEvent::Touched { lamp, until }).await;
        }
    }
    let (lamp, until) = (5, until);
    let set = engine.execute(BurnUntil { lamp, until }).await;
    set.expect("the deadline should be set");
    idle(&old).await;
    assert_eq!(failed_deliveries(&old).await, ["1", "3"]);
    old.stop().await;

    let new = RuntimeBuilder::deadlines::<PutOut3>;
    let new = new(processes(backend.open().await, &clock, 1));
    let new = new
        .process::<WatchInTens>(StartFrom::Beginning)
        .start()
        .await
        .expect("the runtime should start");
    let retried = retry(&new).await;
    retried.expect("the retry should be accepted");
    idle(&new).await;
    assert_eq!(put_out_of(&store, 1).await, [10, 20]);
    assert_eq!(
        put_out_of(&store, 3).await,
        [10, 20],
        "the commands sent after a rejection"
    );
    clock.advance(DAY);
    idle(&new).await;
    assert_eq!(put_out_of(&store, 5).await, [70]);
    assert_eq!(failed_deliveries(&new).await, [""; 0]);
    new.stop().await;
}

/// A command of a newer schema waits for newer code; older code does not execute it or let it fail.
///
/// The older code continues with its own commands.
pub async fn commands_of_newer_schema_wait_for_newer_code<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let (engine, clock) = (retrying_engine(store.clone()), VirtualClock::new());
    let until = clock.now() + DAY;
    let old = async || {
        processes(store.clone(), &clock, 1)
            .process::<Watch>(StartFrom::Beginning)
            .start()
            .await
            .expect("the runtime should start")
    };
    let first = old().await;
    report(&engine, 1, LampEvent::Jammed).await;
    report(&engine, 1, LampEvent::Lit { lamp: 1, until }).await;
    let touched = LampEvent::Touched {
        lamp: 1,
        until: Some(until),
    };
    report(&engine, 1, touched.clone()).await;
    idle(&first).await;
    assert_eq!(failed_deliveries(&first).await, ["1"]);
    first.stop().await;
    let new = async || {
        let new = processes(backend.open().await, &clock, 1);
        new.process::<WatchInTens>(StartFrom::Beginning)
            .start()
            .await
            .expect("the runtime should start")
    };
    // The command of the newer code waits after the failed delivery.
    let between = new().await;
    report(&engine, 1, touched).await;
    idle(&between).await;
    between.stop().await;

    let second = old().await;
    report(&engine, 1, LampEvent::Repaired).await;
    let retried = retry(&second).await;
    retried.expect("the retry should be accepted");
    report(&engine, 2, LampEvent::Lit { lamp: 2, until }).await;
    let mut head = store.watch();
    for turn in 1..=2 {
        let until = Some(until);
        report(&engine, 2, LampEvent::Touched { lamp: 2, until }).await;
        while put_out_of(&store, 2).await.len() < turn {
            head.changed().await.expect("the store should stay open");
        }
    }
    assert_eq!(
        put_out_of(&store, 1).await,
        [1],
        "older code must execute its own command only"
    );
    assert_eq!(failed_deliveries(&second).await, [""; 0]);
    second.stop().await;
    let third = new().await;
    idle(&third).await;
    assert_eq!(put_out_of(&store, 1).await, [1, 1]);
    third.stop().await;
}
