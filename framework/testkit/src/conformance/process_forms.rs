//! Cases about stored states of process managers whose schema changes.

use super::engine::retrying_engine;
use super::harness::Backend;
use super::process_lamps::{LampEvent, PutOut, Watch, idle, lamp, processes, put_out_of, report};
use super::shop::DAY;
use crate::VirtualClock;
use factum::prelude::*;
use factum_engine::clock::Clock as _;
use factum_engine::process::{Correlation, Deadline, Reactions, Rejection};
use factum_engine::upcast::UpcastError;

/// [`Watch`] with schema version 3: touches as text, and a number that a float cannot represent.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(
    name = "watch",
    version = 3,
    upcast = [number, spell],
    id = u64,
    events = LampEvent,
    commands = PutOut,
)]
struct Watch3 {
    lamp: u64,
    number: u64,
    touched: String,
}

const NUMBER: u64 = (1 << 60) + 1;

fn number(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    old["number"] = NUMBER.into();
    Ok(old)
}

fn spell(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    let touches = old["touches"].as_u64().ok_or("no touches")?;
    old["touched"] = "touched ".repeat(touches as usize).into();
    Ok(old)
}

impl Apply<LampEvent> for Watch3 {
    fn apply(&mut self, event: &LampEvent) {
        if let LampEvent::Touched { .. } = event {
            self.touched.push_str("touched ");
        }
    }
}

impl React<LampEvent> for Watch3 {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u64> {
        lamp(&event.event)
    }

    fn react(&self, _: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        let touches = self.touched.split(' ').count() as u64 - 1;
        self.put_out(touches, then);
    }
}

impl Watch3 {
    fn put_out(&self, touches: u64, then: &mut Reactions<Self>) {
        let (lamp, touches) = (self.lamp, self.number + touches);
        then.send(PutOut { lamp, touches });
    }
}

impl Respond for Watch3 {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        self.put_out(100, then);
    }
}

/// A stored state of an older schema is upcast step by step for an event and for a deadline.
///
/// It is stored in the new schema without loss of digits.
pub async fn stored_process_state_is_upcast<B: Backend>() {
    let backend = B::create().await;
    let store = backend.open().await;
    let (engine, clock) = (retrying_engine(store.clone()), VirtualClock::new());
    let until = clock.now() + DAY;
    let old = processes(store.clone(), &clock, 2)
        .process::<Watch>(StartFrom::Beginning)
        .start()
        .await
        .expect("the runtime should start");
    for lamp in [1, 2] {
        report(&engine, lamp, LampEvent::Lit { lamp, until }).await;
        let until = Some(until);
        report(&engine, lamp, LampEvent::Touched { lamp, until }).await;
    }
    idle(&old).await;
    old.stop().await;

    let new = processes(backend.open().await, &clock, 2);
    let new = new
        .process::<Watch3>(StartFrom::Beginning)
        .start()
        .await
        .expect("the runtime should start");
    for _ in 0..2 {
        let until = Some(until);
        report(&engine, 1, LampEvent::Touched { lamp: 1, until }).await;
        idle(&new).await;
    }
    clock.advance(DAY);
    idle(&new).await;
    new.stop().await;
    let expected = [1, NUMBER + 2, NUMBER + 3, NUMBER + 100];
    assert_eq!(put_out_of(&store, 1).await, expected);
    assert_eq!(put_out_of(&store, 2).await, [1, NUMBER + 100]);
}
