//! Orders, whose decisions set reminders as deadlines.

#![allow(dead_code, reason = "each test that includes this needs a part of it")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::document::{Document, Scan};
use factum::prelude::*;
use factum::process_managers::ProcessManagersBuilder;
use factum::{Query, Read, RecordedEvent, RetryPolicy, Store};
use factum_testkit::VirtualClock;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub(crate) enum OrderEvent {
    Told {
        #[tag]
        what: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = String, event = OrderEvent)]
pub(crate) struct Order {
    pub(crate) told: u32,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {
        self.told += 1;
    }
}

pub(crate) fn tell(what: &str) -> Events<OrderEvent> {
    let what = what.to_owned();
    OrderEvent::Told { what }.into()
}

/// What happens when it is executed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fire {
    Once,
    /// Sets itself again, a day later, so many times.
    Again(u32),
    Refuse,
    Nothing,
    Panic,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not now")]
pub(crate) struct NotNow;

/// What a deadline executes.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Remind {
    #[id]
    pub(crate) order: String,
    pub(crate) what: String,
    pub(crate) fire: Fire,
}

pub(crate) static JAMMED: AtomicBool = AtomicBool::new(true);

impl Decide for Remind {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        match self.fire {
            Fire::Once | Fire::Again(0) => Ok(tell(&self.what)),
            Fire::Again(times) => {
                let fire = Fire::Again(times - 1);
                let again = Self {
                    fire,
                    ..self.clone()
                };
                Ok(tell(&self.what).deadline(&self.what, DAY, again))
            }
            Fire::Refuse => Err(NotNow),
            Fire::Nothing => Ok(Events::none()),
            Fire::Panic => {
                assert!(!JAMMED.load(SeqCst), "it is jammed");
                Ok(tell(&self.what))
            }
        }
    }
}

pub(crate) fn remind(order: &str, what: &str) -> Remind {
    let (order, what) = (order.to_owned(), what.to_owned());
    let fire = Fire::Once;
    Remind { order, what, fire }
}

/// Does what it says.
#[derive(Command, Debug, Clone, Default, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Place {
    #[id]
    pub(crate) order: String,
    pub(crate) tells: Vec<String>,
    pub(crate) sets: Vec<(Remind, Duration)>,
    pub(crate) cancels: Vec<String>,
}

impl Decide for Place {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        let told = self
            .tells
            .iter()
            .cloned()
            .map(|what| OrderEvent::Told { what });
        let sets = self.sets.iter().cloned();
        let events = sets.fold(told.collect::<Events<_>>(), |events, (remind, after)| {
            events.deadline(remind.what.clone(), after, remind)
        });
        Ok(self.cancels.iter().fold(events, Events::cancel_deadline))
    }
}

pub(crate) fn place(order: &str) -> Place {
    Place {
        order: order.to_owned(),
        ..Place::default()
    }
}

impl Place {
    pub(crate) fn tells(mut self, what: &str) -> Self {
        self.tells.push(what.to_owned());
        self
    }

    pub(crate) fn sets(self, what: &str, after: Duration) -> Self {
        self.fires(what, after, Fire::Once)
    }

    pub(crate) fn fires(mut self, what: &str, after: Duration, fire: Fire) -> Self {
        let remind = remind(&self.order, what);
        self.sets.push((Remind { fire, ..remind }, after));
        self
    }

    pub(crate) fn cancels(mut self, what: &str) -> Self {
        self.cancels.push(what.to_owned());
        self
    }
}

pub(crate) fn engine(store: impl Store) -> (Engine, VirtualClock) {
    let clock = VirtualClock::new();
    let engine = Engine::builder(store).clock(clock.clone());
    (engine.build(), clock)
}

pub(crate) fn deadlines(engine: &Engine) -> ProcessManagersBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    ProcessManagers::builder(engine)
        .deadlines::<Remind>()
        .retry(retry)
        .lease(Duration::from_millis(60))
}

pub(crate) async fn log(engine: &Engine) -> Vec<RecordedEvent> {
    let page = engine.store().read(Read::all(Query::all())).await;
    page.unwrap().events
}

pub(crate) async fn told(engine: &Engine) -> Vec<String> {
    let events = log(engine).await.into_iter();
    let told = events.map(|record| {
        let OrderEvent::Told { what } = record.decode().unwrap();
        format!("{} {what}", record.stream)
    });
    told.collect()
}

/// All that is kept of deadlines.
pub(crate) async fn kept(engine: &Engine) -> Vec<Document> {
    let all = Scan::prefix("process//deadlines/");
    engine.store().scan_documents(all).await.unwrap()
}
