//! DCB queries over some variants of an event: `events = TicketEvent::{Sold, Returned}`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use factum::Position;
use factum::event::{LegacyEvent, UpcastError};
use factum::prelude::*;
use factum::store::async_trait;
use factum::store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, Page, Read, StoreError,
};
use factum_memory::MemoryStore;
use factum_testkit::given;
use tokio::sync::watch;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "ticket", legacy = [Issued])]
enum TicketEvent {
    Reserved {
        #[tag]
        film: u32,
    },
    #[event(alias = "ticket.bought")]
    Sold {
        #[tag]
        film: u32,
    },
    Shown {
        #[tag]
        film: u32,
    },
}

/// A legacy event that became a reservation and a sale.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "ticket")]
struct Issued {
    #[tag]
    film: u32,
}

impl LegacyEvent<TicketEvent> for Issued {
    fn into_current(self) -> Result<Events<TicketEvent>, UpcastError> {
        let film = self.film;
        Ok([TicketEvent::Reserved { film }, TicketEvent::Sold { film }].into())
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "note")]
enum NoteEvent {
    Added {
        #[tag]
        film: u32,
    },
    Removed {
        #[tag]
        film: u32,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "ticket", id = u32, event = TicketEvent)]
struct Ticket;

impl Apply<TicketEvent> for Ticket {
    fn apply(&mut self, _: &TicketEvent) {}
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "note", id = u32, event = NoteEvent)]
struct Note;

impl Apply<NoteEvent> for Note {
    fn apply(&mut self, _: &NoteEvent) {}
}

/// The names of the events that a query has found.
#[derive(Debug, Default)]
struct Found(Vec<&'static str>);

impl Apply<TicketEvent> for Found {
    fn apply(&mut self, event: &TicketEvent) {
        self.0.push(event.event_type().name);
    }
}

impl Apply<NoteEvent> for Found {
    fn apply(&mut self, event: &NoteEvent) {
        self.0.push(event.event_type().name);
    }
}

/// The versions of the events that a query has found.
#[derive(Debug, Default)]
struct Versions(Vec<(&'static str, u64)>);

impl Apply<Recorded<TicketEvent>> for Versions {
    fn apply(&mut self, event: &Recorded<TicketEvent>) {
        let name = event.event.event_type().name;
        self.0.push((name, event.record.version.get()));
    }
}

/// A rejection that shows the state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("found {0:?}")]
struct Shows(Vec<&'static str>);

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Ticket, query = Found, events = TicketEvent::{Sold})]
struct ShowSold {
    #[id]
    ticket: u32,
    #[tag]
    film: u32,
}

impl Decide for ShowSold {
    type Error = Shows;
    fn decide(&self, (_, found): (&Ticket, &Found)) -> Result<Events<TicketEvent>, Shows> {
        Err(Shows(found.0.clone()))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Ticket, query = Found, events = (TicketEvent::{Sold, Shown}, NoteEvent))]
struct ShowBoth {
    #[id]
    ticket: u32,
    #[tag]
    film: u32,
}

impl Decide for ShowBoth {
    type Error = Shows;
    fn decide(&self, (_, found): (&Ticket, &Found)) -> Result<Events<TicketEvent>, Shows> {
        Err(Shows(found.0.clone()))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Ticket, query = Versions, events = Recorded<TicketEvent::{Shown, Reserved}>)]
struct ShowVersions {
    #[id]
    ticket: u32,
    #[tag]
    film: u32,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("found {0:?}")]
struct ShowsVersions(Vec<(&'static str, u64)>);

impl Decide for ShowVersions {
    type Error = ShowsVersions;
    fn decide(
        &self,
        (_, found): (&Ticket, &Versions),
    ) -> Result<Events<TicketEvent>, ShowsVersions> {
        Err(ShowsVersions(found.0.clone()))
    }
}

/// Stores any event of a ticket.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Ticket)]
struct StoreTicket {
    #[id]
    ticket: u32,
    event: TicketEvent,
}

impl Decide for StoreTicket {
    type Error = Infallible;
    fn decide(&self, _: &Ticket) -> Result<Events<TicketEvent>, Infallible> {
        Ok(self.event.clone().into())
    }
}

/// Stores any event of a note.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Note)]
struct StoreNote {
    #[id]
    note: u32,
    event: NoteEvent,
}

impl Decide for StoreNote {
    type Error = Infallible;
    fn decide(&self, _: &Note) -> Result<Events<NoteEvent>, Infallible> {
        Ok(self.event.clone().into())
    }
}

const FILM: u32 = 7;

/// Returns an engine on a log with one event of each type, with the tag of the film.
async fn engine(store: &MemoryStore) -> Engine {
    let engine = Engine::new(store.clone());
    let film = FILM;
    for event in [
        TicketEvent::Reserved { film },
        TicketEvent::Sold { film },
        TicketEvent::Shown { film },
    ] {
        engine
            .execute(StoreTicket { ticket: 1, event })
            .await
            .unwrap();
    }
    for event in [NoteEvent::Added { film }, NoteEvent::Removed { film }] {
        engine.execute(StoreNote { note: 1, event }).await.unwrap();
    }
    engine
}

fn rejection<E: std::error::Error>(result: Result<factum::engine::Receipt, ExecuteError<E>>) -> E {
    match result {
        Err(ExecuteError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn query_reads_the_named_variants_only() {
    let engine = engine(&MemoryStore::new()).await;
    let (ticket, film) = (2, FILM);
    let sold = rejection(engine.execute(ShowSold { ticket, film }).await);
    assert_eq!(sold.0, ["ticket.sold"]);
    let both = rejection(engine.execute(ShowBoth { ticket, film }).await);
    let expected = ["ticket.sold", "ticket.shown", "note.added", "note.removed"];
    assert_eq!(both.0, expected);
    let versions = rejection(engine.execute(ShowVersions { ticket, film }).await);
    assert_eq!(versions.0, [("ticket.reserved", 1), ("ticket.shown", 3)]);
}

#[test]
fn scenario_reads_the_named_variants_only() {
    let film = FILM;
    let own = || [TicketEvent::Reserved { film }, TicketEvent::Sold { film }];
    let others = || ([TicketEvent::Shown { film }], [NoteEvent::Added { film }]);
    let ticket = 2;
    given((own(), others()))
        .when(ShowSold { ticket, film })
        .then_rejected(Shows(vec!["ticket.sold"]));
    given((own(), others()))
        .when(ShowBoth { ticket, film })
        .then_rejected(Shows(vec!["ticket.sold", "ticket.shown", "note.added"]));
    let versions = vec![("ticket.reserved", 1), ("ticket.shown", 1)];
    given((own(), others()))
        .when(ShowVersions { ticket, film })
        .then_rejected(ShowsVersions(versions));
}

/// The events of an earlier version of the program.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "ticket")]
enum OldTicketEvent {
    Bought {
        #[tag]
        film: u32,
    },
    Issued {
        #[tag]
        film: u32,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "ticket", id = u32, event = OldTicketEvent)]
struct OldTicket;

impl Apply<OldTicketEvent> for OldTicket {
    fn apply(&mut self, _: &OldTicketEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = OldTicket)]
struct StoreOldTicket {
    #[id]
    ticket: u32,
    film: u32,
}

impl Decide for StoreOldTicket {
    type Error = Infallible;
    fn decide(&self, _: &OldTicket) -> Result<Events<OldTicketEvent>, Infallible> {
        let film = self.film;
        Ok([
            OldTicketEvent::Bought { film },
            OldTicketEvent::Issued { film },
        ]
        .into())
    }
}

#[tokio::test]
async fn query_reads_former_names_and_legacy_events() {
    let engine = Engine::new(MemoryStore::new());
    let (ticket, film) = (1, FILM);
    engine
        .execute(StoreOldTicket { ticket, film })
        .await
        .unwrap();
    let sold = rejection(engine.execute(ShowSold { ticket: 2, film }).await);
    // The legacy event became a reservation, too, which the query does not name.
    assert_eq!(sold.0, ["ticket.sold", "ticket.sold"]);
}

/// A store in which another engine stores an event before the next append.
#[derive(Clone, Default)]
struct RacedStore {
    store: MemoryStore,
    intruder: Arc<Mutex<Option<TicketEvent>>>,
}

#[async_trait]
impl EventStore for RacedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let intruder = self.intruder.lock().unwrap().take();
        if let Some(event) = intruder {
            let engine = Engine::new(self.store.clone());
            engine
                .execute(StoreTicket { ticket: 99, event })
                .await
                .unwrap();
        }
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] RacedStore, |this| this.store);
factum::store::delegate!(documents, [] RacedStore, |this| this.store);

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Ticket, query = Found, events = TicketEvent::{Sold, Reserved})]
struct Sell {
    #[id]
    ticket: u32,
    #[tag]
    film: u32,
}

impl Decide for Sell {
    type Error = Infallible;
    fn decide(&self, _: (&Ticket, &Found)) -> Result<Events<TicketEvent>, Infallible> {
        Ok(TicketEvent::Sold { film: self.film }.into())
    }
}

#[tokio::test]
async fn only_the_named_variants_conflict() {
    let film = FILM;
    let cases = [
        (TicketEvent::Shown { film }, 1),
        (TicketEvent::Sold { film }, 2),
        (TicketEvent::Reserved { film }, 2),
    ];
    for (intruder, attempts) in cases {
        let store = RacedStore::default();
        *store.intruder.lock().unwrap() = Some(intruder.clone());
        let receipt = Engine::new(store).execute(Sell { ticket: 1, film }).await;
        assert_eq!(receipt.unwrap().attempts(), attempts, "{intruder:?}");
    }
}
