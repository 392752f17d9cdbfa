//! Deadlines of decisions over several aggregates, lists and DCB queries, in scenarios, and with personal data.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use factum::Timestamp;
use factum::prelude::*;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore};
use factum::store::Scan;
use factum::store::{Query, Read, Store};
use factum_memory::MemoryStore;
use factum_testkit::{VirtualClock, given};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "seat")]
enum SeatEvent {
    Held {
        #[tag]
        film: String,
    },
    Released {
        film: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "seat", id = u32, event = SeatEvent)]
struct Seat;

impl Apply<SeatEvent> for Seat {
    fn apply(&mut self, _: &SeatEvent) {}
}

fn held(film: &str) -> SeatEvent {
    let film = film.to_owned();
    SeatEvent::Held { film }
}

fn released(film: &str) -> SeatEvent {
    let film = film.to_owned();
    SeatEvent::Released { film }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Seat)]
struct Release {
    #[id]
    seat: u32,
    film: String,
}

impl Decide for Release {
    type Error = Full;
    fn decide(&self, _: &Seat) -> Result<Events<SeatEvent>, Full> {
        Ok(released(&self.film).into())
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the cinema is full")]
struct Full;

fn release(seat: u32, film: &str) -> Release {
    let film = film.to_owned();
    Release { seat, film }
}

/// Holds the first seat, and sets a deadline for each seat that releases it.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Seat, Vec<Seat>), query = Film, events = SeatEvent)]
struct Hold {
    #[id]
    first: u32,
    #[id]
    others: Vec<u32>,
    #[tag]
    film: String,
}

/// The number of held seats of a film.
#[derive(Debug, Clone, Default)]
struct Film(u32);

impl Apply<SeatEvent> for Film {
    fn apply(&mut self, _: &SeatEvent) {
        self.0 += 1;
    }
}

impl Decide for Hold {
    type Error = Full;
    fn decide(
        &self,
        (_, film): ((&Seat, Vec<&Seat>), &Film),
    ) -> Result<(Events<SeatEvent>, Vec<Events<SeatEvent>>), Full> {
        if film.0 > 1 {
            return Err(Full);
        }
        let first = Events::from(held(&self.film));
        let first = first.deadline("end", DAY, release(self.first, &self.film));
        let others = self.others.iter().map(|seat| {
            let later = DAY * (1 + seat);
            Events::none().deadline("end", later, release(*seat, &self.film))
        });
        Ok((first, others.collect()))
    }
}

fn hold() -> Hold {
    Hold {
        first: 1,
        others: vec![2, 3],
        film: "f".to_owned(),
    }
}

/// Keeps a seat: cancels the deadline that releases it.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Seat)]
struct Keep {
    #[id]
    seat: u32,
}

impl Decide for Keep {
    type Error = Full;
    fn decide(&self, _: &Seat) -> Result<Events<SeatEvent>, Full> {
        Ok(Events::none().cancel_deadline("end"))
    }
}

async fn check_deadlines_per_stream(store: impl Store) {
    let clock = VirtualClock::new();
    let engine = Engine::builder(store).clock(clock.clone()).build();
    let set = engine.execute(hold()).await.unwrap();
    engine.execute(Keep { seat: 2 }).await.unwrap();
    let running = Runtime::builder(&engine)
        .deadlines::<Release>()
        .start()
        .await
        .unwrap();
    for (day, events) in [(1, 2), (2, 2), (3, 2), (4, 3)] {
        clock.advance(DAY);
        running.wait_until_idle().await.unwrap();
        let page = engine.store().read(Read::all(Query::all())).await.unwrap();
        assert_eq!(page.events.len(), events, "day {day}");
        let last = page.events.last().unwrap();
        if day == 4 {
            assert_eq!(last.stream.as_str(), "seat-3");
            // The decision stored no event for this seat, so the cause is its first event.
            assert_eq!(last.metadata.causation_id, Some(set.events()[0].id));
        } else {
            assert_eq!(last.stream.as_str(), "seat-1");
        }
    }
    running.stop().await;
    let documents = engine
        .store()
        .scan_documents(Scan::prefix("process/"))
        .await;
    assert_eq!(documents.unwrap(), []);
}

#[tokio::test]
async fn decision_sets_deadlines_per_stream() {
    check_deadlines_per_stream(MemoryStore::new()).await;
}

#[tokio::test]
async fn personal_data_store_keeps_deadlines() {
    let store = MemoryStore::new();
    let master = MasterKey::new(&[7; 32]);
    let keys = DocumentKeys::open(store.clone(), master).await.unwrap();
    let store = PersonalDataStore::open(store, keys).await.unwrap();
    check_deadlines_per_stream(store).await;
}

#[test]
fn scenario_compares_set_and_cancelled_deadlines() {
    let end = |seat| DAY * (1 + seat);
    let other = |seat| Events::none().deadline("end", end(seat), release(seat, "f"));
    let first = Events::from(held("f")).deadline("end", DAY, release(1, "f"));
    given(((), ()))
        .when(hold())
        .then((first, vec![other(2), other(3)]));
    given(())
        .when(Keep { seat: 2 })
        .then(Events::none().cancel_deadline("end"));
    given(())
        .when(Release {
            seat: 1,
            film: "f".to_owned(),
        })
        .then([released("f")]);
}

#[test]
#[should_panic(expected = "unexpected decision of Keep")]
fn scenario_without_the_deadline_change_fails() {
    given(()).when(Keep { seat: 2 }).then(());
}

#[test]
#[should_panic(expected = "a name has 1 to 128 bytes without control characters")]
fn scenario_rejects_an_invalid_deadline_name() {
    given(())
        .when(Misname { seat: 2 })
        .then(Events::none().cancel_deadline(""));
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Seat)]
struct Misname {
    #[id]
    seat: u32,
}

impl Decide for Misname {
    type Error = Full;
    fn decide(&self, _: &Seat) -> Result<Events<SeatEvent>, Full> {
        Ok(Events::none().cancel_deadline(""))
    }
}

#[test]
fn deadlines_with_same_name_time_and_command_are_equal() {
    let due = Timestamp::from_micros(7);
    let one = Events::from(held("f")).deadline("a", due, release(1, "f"));
    assert_eq!(
        one,
        Events::from(held("f")).deadline("a", due, release(1, "f"))
    );
    let others = [
        Events::from(held("f")),
        Events::from(held("f")).deadline("b", due, release(1, "f")),
        Events::from(held("f")).deadline("a", DAY, release(1, "f")),
        Events::from(held("f")).deadline("a", due, release(2, "f")),
        Events::from(held("f")).cancel_deadline("a"),
    ];
    assert!(!others.contains(&one));
    let text = format!("{:?}", Events::from(held("f")).cancel_deadline("a"));
    assert_eq!(text, r#"Events([Held { film: "f" }], {"a": Cancel})"#);
    assert_eq!(
        format!("{:?}", Events::from(held("f"))),
        r#"Events([Held { film: "f" }])"#
    );
}

#[test]
fn events_without_deadlines_are_a_list_and_a_pointer() {
    let list = size_of::<Vec<SeatEvent>>() + size_of::<usize>();
    assert_eq!(size_of::<Events<SeatEvent>>(), list);
}
