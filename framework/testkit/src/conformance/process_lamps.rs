//! The example domain of several cases: lamps that a process manager puts out.
//!
//! Each touch of a lamp sends a command and moves or cancels the deadline at which the lamp goes out.

use std::time::Duration;

use super::engine::retrying_engine;
use super::harness::all_events;
use crate::VirtualClock;
use factum::prelude::*;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::RetryPolicy;
use factum_engine::process::{Correlation, Deadline, Reactions, Rejection};
use factum_runtime::{Runtime, RuntimeBuilder};

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
pub enum LampEvent {
    /// The lamp is on until this time.
    Lit {
        lamp: u64,
        until: Timestamp,
    },
    /// The deadline moved to this time; `None` cancels it.
    Touched {
        lamp: u64,
        until: Option<Timestamp>,
    },
    PutOut {
        lamp: u64,
        touches: u64,
    },
    Jammed,
    Repaired,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u64, event = LampEvent)]
pub struct Lamp {
    jammed: bool,
}

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, event: &LampEvent) {
        match event {
            LampEvent::Jammed => self.jammed = true,
            LampEvent::Repaired => self.jammed = false,
            _ => {}
        }
    }
}

/// Records any event of a lamp.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
pub struct LampReport {
    #[id]
    lamp: u64,
    event: LampEvent,
}

impl Decide for LampReport {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

pub async fn report(engine: &Engine, lamp: u64, event: LampEvent) {
    let reported = engine.execute(LampReport { lamp, event }).await;
    reported.expect("the event should be recorded");
}

/// Puts a lamp out, without a check for repeated executions; panics while the lamp is jammed.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Lamp)]
pub struct PutOut {
    #[id]
    pub lamp: u64,
    pub touches: u64,
}

impl Decide for PutOut {
    type Error = std::convert::Infallible;

    fn decide(&self, lamp: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        assert!(!lamp.jammed, "the switch is jammed");
        let Self { lamp, touches } = *self;
        Ok(LampEvent::PutOut { lamp, touches }.into())
    }
}

/// The number of touches in a command that a deadline sends.
pub const BY_DEADLINE: u64 = u64::MAX;

/// Puts a lamp out at its deadline and after each touch.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "watch", id = u64, events = LampEvent, commands = PutOut)]
pub struct Watch {
    pub lamp: u64,
    pub touches: u64,
}

impl Apply<LampEvent> for Watch {
    fn apply(&mut self, event: &LampEvent) {
        match event {
            LampEvent::Lit { lamp, .. } => self.lamp = *lamp,
            LampEvent::Touched { .. } => self.touches += 1,
            _ => {}
        }
    }
}

pub fn lamp(event: &LampEvent) -> Correlation<u64> {
    match event {
        LampEvent::Lit { lamp, .. } => Correlation::Starts(*lamp),
        LampEvent::Touched { lamp, .. } => Correlation::Continues(*lamp),
        _ => Correlation::Ignored,
    }
}

impl React<LampEvent> for Watch {
    fn correlate(event: &Recorded<LampEvent>) -> Correlation<u64> {
        lamp(&event.event)
    }

    fn react(&self, event: &Recorded<LampEvent>, then: &mut Reactions<Self>) {
        let Self { lamp, touches } = *self;
        match event.event {
            LampEvent::Touched { until: None, .. } => then.cancel("time"),
            LampEvent::Lit { until, .. }
            | LampEvent::Touched {
                until: Some(until), ..
            } => then.deadline("time", until),
            _ => return,
        };
        if touches > 0 {
            then.send(PutOut { lamp, touches });
        }
    }
}

impl Respond for Watch {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        let (lamp, touches) = (self.lamp, BY_DEADLINE);
        then.send(PutOut { lamp, touches }).complete();
    }
}

/// Returns lamp and touches of every `PutOut` event, in stored order.
pub async fn put_out(store: &impl Store) -> Vec<(u64, u64)> {
    let records = all_events(store, 100).await;
    let lamps = records.iter().filter(|it| it.name.starts_with("lamp."));
    let put_out = lamps.filter_map(|record| {
        let event = record.decode();
        match event.expect("the event of a lamp should decode") {
            LampEvent::PutOut { lamp, touches } => Some((lamp, touches)),
            _ => None,
        }
    });
    put_out.collect()
}

/// Returns the touches of every `PutOut` event of one lamp, in stored order.
pub async fn put_out_of(store: &impl Store, lamp: u64) -> Vec<u64> {
    let all = put_out(store).await.into_iter();
    let own = all.filter(|(other, _)| *other == lamp);
    own.map(|(_, touches)| touches).collect()
}

/// Returns a builder of process managers that try a delivery `attempts` times.
pub fn processes(store: impl Store, clock: &VirtualClock, attempts: u32) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    Runtime::builder(&retrying_engine(store))
        .retry(retry)
        .lease(Duration::from_millis(60))
        .clock(clock.clone())
}

pub async fn idle(processes: &Runtime) {
    let idle = processes.wait_until_idle().await;
    idle.expect("the process managers should become idle");
}
