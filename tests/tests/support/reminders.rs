//! Orders whose decisions set deadlines.

#![allow(dead_code, reason = "not every test uses everything")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::prelude::*;
use factum::runtime::RuntimeBuilder;
use factum::store::{Document, Scan};
use factum::store::{Query, Read, RecordedEvent, Store};
use factum_testkit::VirtualClock;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub(crate) enum OrderEvent {
    Noted {
        #[tag]
        text: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = String, event = OrderEvent)]
pub(crate) struct Order {
    pub(crate) notes: u32,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {
        self.notes += 1;
    }
}

pub(crate) fn noted(text: &str) -> Events<OrderEvent> {
    let text = text.to_owned();
    OrderEvent::Noted { text }.into()
}

/// The behaviour of a [`Remind`] command.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fire {
    Once,
    /// Sets its deadline again a day later, up to this number of times.
    Again(u32),
    Reject,
    Nothing,
    Panic,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not now")]
pub(crate) struct NotNow;

/// The command that a deadline executes.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Remind {
    #[id]
    pub(crate) order: String,
    pub(crate) name: String,
    pub(crate) fire: Fire,
}

pub(crate) static JAMMED: AtomicBool = AtomicBool::new(true);

impl Decide for Remind {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        match self.fire {
            Fire::Once | Fire::Again(0) => Ok(noted(&self.name)),
            Fire::Again(times) => {
                let fire = Fire::Again(times - 1);
                let again = Self {
                    fire,
                    ..self.clone()
                };
                Ok(noted(&self.name).deadline(&self.name, DAY, again))
            }
            Fire::Reject => Err(NotNow),
            Fire::Nothing => Ok(Events::none()),
            Fire::Panic => {
                assert!(!JAMMED.load(SeqCst), "it is jammed");
                Ok(noted(&self.name))
            }
        }
    }
}

pub(crate) fn remind(order: &str, name: &str) -> Remind {
    let (order, name) = (order.to_owned(), name.to_owned());
    let fire = Fire::Once;
    Remind { order, name, fire }
}

/// Adds notes, sets deadlines and cancels deadlines.
#[derive(Command, Debug, Clone, Default, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Place {
    #[id]
    pub(crate) order: String,
    pub(crate) notes: Vec<String>,
    pub(crate) sets: Vec<(Remind, Duration)>,
    pub(crate) cancels: Vec<String>,
}

impl Decide for Place {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        let noted = self
            .notes
            .iter()
            .cloned()
            .map(|text| OrderEvent::Noted { text });
        let sets = self.sets.iter().cloned();
        let events = sets.fold(noted.collect::<Events<_>>(), |events, (remind, after)| {
            events.deadline(remind.name.clone(), after, remind)
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
    pub(crate) fn notes(mut self, text: &str) -> Self {
        self.notes.push(text.to_owned());
        self
    }

    pub(crate) fn sets(self, name: &str, after: Duration) -> Self {
        self.fires(name, after, Fire::Once)
    }

    pub(crate) fn fires(mut self, name: &str, after: Duration, fire: Fire) -> Self {
        let remind = remind(&self.order, name);
        self.sets.push((Remind { fire, ..remind }, after));
        self
    }

    pub(crate) fn cancels(mut self, name: &str) -> Self {
        self.cancels.push(name.to_owned());
        self
    }
}

pub(crate) fn engine(store: impl Store) -> (Engine, VirtualClock) {
    let clock = VirtualClock::new();
    let engine = Engine::builder(store).clock(clock.clone());
    (engine.build(), clock)
}

pub(crate) fn deadlines(engine: &Engine) -> RuntimeBuilder {
    let retry = RetryPolicy {
        attempts: 2,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
    };
    Runtime::builder(engine)
        .deadlines::<Remind>()
        .retry(retry)
        .lease(Duration::from_millis(60))
}

pub(crate) async fn log(engine: &Engine) -> Vec<RecordedEvent> {
    let page = engine.store().read(Read::all(Query::all())).await;
    page.unwrap().events
}

/// Returns the stream and the text of each note.
pub(crate) async fn notes(engine: &Engine) -> Vec<String> {
    let events = log(engine).await.into_iter();
    let notes = events.map(|record| {
        let OrderEvent::Noted { text } = record.decode().unwrap();
        format!("{} {text}", record.stream)
    });
    notes.collect()
}

/// Returns all documents of deadlines.
pub(crate) async fn deadline_documents(engine: &Engine) -> Vec<Document> {
    let all = Scan::prefix("process//deadlines/");
    engine.store().scan_documents(all).await.unwrap()
}
