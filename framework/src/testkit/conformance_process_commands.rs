//! Process managers: commands that are kept outlive a change of their form.

use super::VirtualClock;
use super::conformance::Backend;
use super::conformance_engine::patient;
use super::conformance_process_lamps::{
    Lamp, LampEvent, Watch, idle, lamp, processes, put_out_of, tell,
};
use super::conformance_shop::DAY;
use crate::clock::Clock as _;
use crate::prelude::*;
use crate::process::{Correlation, Deadline, Reactions, Rejection};
use crate::process_managers::{FailedDelivery, ProcessManagersBuilder};
use crate::store::EventStore as _;
use crate::timestamp::Timestamp;
use crate::upcast::UpcastError;

/// [`PutOut`](super::conformance_process_lamps::PutOut) as it is two versions later: it counts in tens, and can be rejected.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(crate = crate, on = Lamp, name = "PutOut", version = 3, upcast = [in_tens, may_be_rejected])]
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

/// Those of lamp 3 are.
fn may_be_rejected(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    old["rejected"] = (old["lamp"] == 3).into();
    Ok(old)
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it shall burn")]
struct Burns;

impl Decide for PutOut3 {
    type Error = Burns;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Burns> {
        let (lamp, touches) = (self.lamp, self.tens);
        match self.rejected {
            true => Err(Burns),
            false => Ok(LampEvent::PutOut { lamp, touches }.into()),
        }
    }
}

/// [`Watch`] as it sends that, and nothing for an event.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(crate = crate, name = "watch", id = u64, events = LampEvent, commands = PutOut3)]
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
    /// Puts it out all the same, if the command is given to it as it is today.
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>) {
        let command = rejection.of::<PutOut3>().expect("today's form");
        let rejected = false;
        then.send(PutOut3 {
            rejected,
            ..command
        });
    }

    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

/// Has a lamp put out at a time, without a process manager.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(crate = crate, on = Lamp)]
struct BurnUntil {
    #[id]
    lamp: u64,
    until: Timestamp,
}

impl Decide for BurnUntil {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        let (lamp, touches) = (self.lamp, 7);
        let put_out = super::conformance_process_lamps::PutOut { lamp, touches };
        Ok(Events::none().deadline("time", self.until, put_out))
    }
}

async fn failed_deliveries(running: &ProcessManagers) -> Vec<String> {
    let listed = running.failed_deliveries("watch").await;
    let listed = listed.expect("they are listed").into_iter();
    let waiting = listed.filter(FailedDelivery::is_waiting);
    waiting.map(|letter| letter.instance).collect()
}

/// Commands that were given up, that wait behind those and that deadlines hold are brought up to today's form step by
/// step, when a newer program tries them; what is rejected comes back in that form.
pub async fn stored_commands_are_upcast<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let clock = VirtualClock::new();
    let engine = Engine::builder(store.clone()).clock(clock.clone()).build();
    let until = clock.now() + DAY;
    let old = processes(store.clone(), &clock, 1).with::<Watch>().start();
    for lamp in [1, 3] {
        tell(&engine, lamp, LampEvent::Jammed).await;
        tell(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        for _ in 0..2 {
            let until = Some(until);
            tell(&engine, lamp, LampEvent::Touched { lamp, until }).await;
        }
    }
    let (lamp, until) = (5, until);
    let burns = engine.execute(BurnUntil { lamp, until }).await;
    burns.expect("its deadline is set");
    idle(&old).await;
    assert_eq!(failed_deliveries(&old).await, ["1", "3"]);
    old.stop().await;

    let new = ProcessManagersBuilder::deadlines::<PutOut3>;
    let new = new(processes(place.open().await, &clock, 1));
    let new = new.with::<WatchInTens>().start();
    new.retry("watch").await.expect("they are tried again");
    idle(&new).await;
    assert_eq!(put_out_of(&store, 1).await, [10, 20]);
    assert_eq!(put_out_of(&store, 3).await, [10, 20], "behind a rejection");
    clock.advance(DAY);
    idle(&new).await;
    assert_eq!(put_out_of(&store, 5).await, [70]);
    assert_eq!(failed_deliveries(&new).await, [""; 0]);
    new.stop().await;
}

/// A command that newer code has sent, and nobody has executed yet, is neither executed nor given up by older code; and
/// what that code can do goes on.
pub async fn commands_of_newer_schema_wait_for_newer_code<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let (engine, clock) = (patient(store.clone()), VirtualClock::new());
    let until = clock.now() + DAY;
    let old = || processes(store.clone(), &clock, 1).with::<Watch>().start();
    let first = old();
    tell(&engine, 1, LampEvent::Jammed).await;
    tell(&engine, 1, LampEvent::Lit { lamp: 1, until }).await;
    let touched = LampEvent::Touched {
        lamp: 1,
        until: Some(until),
    };
    tell(&engine, 1, touched.clone()).await;
    idle(&first).await;
    assert_eq!(failed_deliveries(&first).await, ["1"]);
    first.stop().await;
    let new = async || {
        let new = processes(place.open().await, &clock, 1);
        new.with::<WatchInTens>().start()
    };
    // Behind what was given up.
    let between = new().await;
    tell(&engine, 1, touched).await;
    idle(&between).await;
    between.stop().await;

    let second = old();
    tell(&engine, 1, LampEvent::Mended).await;
    second.retry("watch").await.expect("it is tried again");
    tell(&engine, 2, LampEvent::Lit { lamp: 2, until }).await;
    let mut head = store.watch();
    for turn in 1..=2 {
        let until = Some(until);
        tell(&engine, 2, LampEvent::Touched { lamp: 2, until }).await;
        while put_out_of(&store, 2).await.len() < turn {
            head.changed().await.expect("the store lives");
        }
    }
    assert_eq!(put_out_of(&store, 1).await, [1], "its own is done");
    assert_eq!(failed_deliveries(&second).await, [""; 0]);
    second.stop().await;
    let third = new().await;
    idle(&third).await;
    assert_eq!(put_out_of(&store, 1).await, [1, 1]);
    third.stop().await;
}
