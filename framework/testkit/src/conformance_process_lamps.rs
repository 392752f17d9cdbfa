//! The lamps that the cases of what a process manager keeps are about: each is put out when its time has come, which every
//! touch moves, and by every touch.

use std::time::Duration;

use super::VirtualClock;
use super::conformance::everything;
use super::conformance_engine::patient;
use factum::prelude::*;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::RetryPolicy;
use factum_engine::process::{Correlation, Deadline, Reactions, Rejection};
use factum_runtime::process_managers::ProcessManagersBuilder;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "lamp")]
pub(super) enum LampEvent {
    /// It burns until then, or until it is touched.
    Lit {
        lamp: u64,
        until: Timestamp,
    },
    /// `None`: it may burn for ever.
    Touched {
        lamp: u64,
        until: Option<Timestamp>,
    },
    PutOut {
        lamp: u64,
        touches: u64,
    },
    Jammed,
    Mended,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "lamp", id = u64, event = LampEvent)]
pub(super) struct Lamp {
    jammed: bool,
}

impl Apply<LampEvent> for Lamp {
    fn apply(&mut self, event: &LampEvent) {
        match event {
            LampEvent::Jammed => self.jammed = true,
            LampEvent::Mended => self.jammed = false,
            _ => {}
        }
    }
}

/// Says what has happened.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Lamp)]
pub(super) struct Tell {
    #[id]
    lamp: u64,
    event: LampEvent,
}

impl Decide for Tell {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

pub(super) async fn tell(engine: &Engine, lamp: u64, event: LampEvent) {
    let told = engine.execute(Tell { lamp, event }).await;
    told.expect("it is told");
}

/// Puts it out as often as it is executed, so that each time shows. Fails while the lamp is jammed.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Lamp)]
pub(super) struct PutOut {
    #[id]
    pub(super) lamp: u64,
    pub(super) touches: u64,
}

impl Decide for PutOut {
    type Error = std::convert::Infallible;

    fn decide(&self, lamp: &Lamp) -> Result<Events<LampEvent>, Self::Error> {
        assert!(!lamp.jammed, "the switch is jammed");
        let Self { lamp, touches } = *self;
        Ok(LampEvent::PutOut { lamp, touches }.into())
    }
}

/// What a deadline puts in the place of touches.
pub(super) const BY_ITSELF: u64 = u64::MAX;

/// Puts out lamps when their time has come, and when they are touched.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(name = "watch", id = u64, events = LampEvent, commands = PutOut)]
pub(super) struct Watch {
    pub(super) lamp: u64,
    pub(super) touches: u64,
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

pub(super) fn lamp(event: &LampEvent) -> Correlation<u64> {
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
        let (lamp, touches) = (self.lamp, BY_ITSELF);
        then.send(PutOut { lamp, touches }).complete();
    }
}

/// How often each lamp had been touched when it was put out, in the order in which that was stored.
pub(super) async fn put_out(store: &impl Store) -> Vec<(u64, u64)> {
    let records = everything(store, 100).await;
    let lamps = records.iter().filter(|it| it.name.starts_with("lamp."));
    let put_out = lamps.filter_map(|record| {
        let event = record.decode().expect("an event of a lamp");
        match event {
            LampEvent::PutOut { lamp, touches } => Some((lamp, touches)),
            _ => None,
        }
    });
    put_out.collect()
}

/// The same of one lamp.
pub(super) async fn put_out_of(store: &impl Store, lamp: u64) -> Vec<u64> {
    let all = put_out(store).await.into_iter();
    let own = all.filter(|(of, _)| *of == lamp);
    own.map(|(_, touches)| touches).collect()
}

/// Process managers that give up what fails behind so many attempts.
pub(super) fn processes(
    store: impl Store,
    clock: &VirtualClock,
    attempts: u32,
) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
    };
    ProcessManagers::builder(&patient(store))
        .retry(retry)
        .lease(Duration::from_millis(60))
        .clock(clock.clone())
}

pub(super) async fn idle(processes: &ProcessManagers) {
    let idle = processes.wait_until_idle().await;
    idle.expect("a process manager does what is due");
}
