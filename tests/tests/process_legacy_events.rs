//! Process managers and event handlers with a legacy event that is split into several current events.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum::engine::RetryPolicy;
use factum::event::{LegacyEvent, UpcastError, upcast_legacy};
use factum::prelude::*;
use factum::runtime::{EventHandler, HandlerError};
use factum_memory::MemoryStore;

/// The event types before the split.
mod old {
    use super::*;

    #[derive(Event, Debug, Clone, Serialize, Deserialize)]
    #[event(prefix = "trip")]
    pub(super) enum TripEvent {
        Booked { trip: u32, hotel: u32 },
        Dreamt { trip: u32 },
    }

    #[derive(Aggregate, Debug, Clone, Default)]
    #[aggregate(category = "trip", id = u32, event = TripEvent)]
    pub(super) struct Trip;

    impl Apply<TripEvent> for Trip {
        fn apply(&mut self, _: &TripEvent) {}
    }

    #[derive(Command, Debug, Clone, Serialize, Deserialize)]
    #[command(on = Trip)]
    pub(super) struct Emit {
        #[id]
        pub(super) trip: u32,
        pub(super) event: TripEvent,
    }

    impl Decide for Emit {
        type Error = std::convert::Infallible;
        fn decide(&self, _: &Trip) -> Result<Events<TripEvent>, Self::Error> {
            Ok(self.event.clone().into())
        }
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "trip", legacy = [BookedWithHotel, Dreamt])]
enum TripEvent {
    #[event(version = 2, upcast = upcast_legacy)]
    Booked {
        trip: u32,
    },
    HotelBooked {
        hotel: u32,
    },
    Confirmed {
        trip: u32,
    },
}

#[derive(Event, Debug, Clone, Serialize, Deserialize)]
#[event(name = "trip.booked")]
struct BookedWithHotel {
    trip: u32,
    hotel: u32,
}

impl LegacyEvent<TripEvent> for BookedWithHotel {
    fn into_current(self) -> Result<Events<TripEvent>, UpcastError> {
        let Self { trip, hotel } = self;
        let booked = TripEvent::Booked { trip };
        let hotel = TripEvent::HotelBooked { hotel };
        Ok([booked, hotel, TripEvent::Confirmed { trip }].into())
    }
}

/// A legacy event without current events.
#[derive(Event, Debug, Clone, Serialize, Deserialize)]
#[event(name = "trip.dreamt")]
struct Dreamt {
    trip: u32,
}

impl LegacyEvent<TripEvent> for Dreamt {
    fn into_current(self) -> Result<Events<TripEvent>, UpcastError> {
        Ok(Events::none())
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "note")]
enum NoteEvent {
    Taken { text: String },
}

/// The notes about one number.
#[derive(Aggregate, Debug, Clone, Default, PartialEq)]
#[aggregate(category = "note", id = u32, event = NoteEvent)]
struct Notes(Vec<String>);

impl Apply<NoteEvent> for Notes {
    fn apply(&mut self, NoteEvent::Taken { text }: &NoteEvent) {
        self.0.push(text.clone());
    }
}

#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Notes)]
struct TakeNote {
    #[id]
    about: u32,
    text: String,
}

impl Decide for TakeNote {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Notes) -> Result<Events<NoteEvent>, Self::Error> {
        let text = self.text.clone();
        Ok(NoteEvent::Taken { text }.into())
    }
}

/// Takes notes about trips and hotels under their numbers, and panics for hotel 13.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = u32, events = (NoteEvent, TripEvent), commands = TakeNote)]
struct Desk {
    about: u32,
    seen: u32,
}

impl Apply<TripEvent> for Desk {
    fn apply(&mut self, event: &TripEvent) {
        self.seen += 1;
        match event {
            TripEvent::Booked { trip: number } | TripEvent::HotelBooked { hotel: number } => {
                self.about = *number;
            }
            TripEvent::Confirmed { .. } => {}
        }
    }
}

impl React<TripEvent> for Desk {
    fn correlate(event: &Recorded<TripEvent>) -> Correlation<u32> {
        match event.event {
            TripEvent::Booked { trip } => Correlation::Starts(trip),
            TripEvent::HotelBooked { hotel } => Correlation::Starts(hotel),
            TripEvent::Confirmed { trip } => Correlation::Continues(trip),
        }
    }

    fn react(&self, event: &Recorded<TripEvent>, then: &mut Reactions<Self>) {
        let (kind, about) = match event.event {
            TripEvent::Booked { .. } => ("booked", self.about),
            TripEvent::HotelBooked { .. } => ("hotel", self.about),
            TripEvent::Confirmed { .. } => ("confirmed", self.about),
        };
        assert_ne!(about, 13, "there is no such hotel");
        let text = format!("{kind} {}", self.seen);
        then.send(TakeNote { about, text });
        if kind == "confirmed" {
            then.complete();
        }
    }
}

impl Apply<NoteEvent> for Desk {
    fn apply(&mut self, _: &NoteEvent) {}
}

impl React<NoteEvent> for Desk {
    fn correlate(_: &Recorded<NoteEvent>) -> Correlation<u32> {
        Correlation::Ignored
    }
    fn react(&self, _: &Recorded<NoteEvent>, _: &mut Reactions<Self>) {}
}

impl Respond for Desk {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

async fn emit(engine: &Engine, trip: u32, event: old::TripEvent) {
    let receipt = engine.execute(old::Emit { trip, event }).await;
    receipt.unwrap();
}

async fn book(engine: &Engine, trip: u32, hotel: u32) {
    emit(engine, trip, old::TripEvent::Booked { trip, hotel }).await;
}

async fn notes(engine: &Engine, about: u32) -> Vec<String> {
    engine.load::<Notes>(&about).await.unwrap().0.clone()
}

fn without_delay() -> RetryPolicy {
    RetryPolicy {
        attempts: 2,
        base: Duration::ZERO,
        cap: Duration::ZERO,
    }
}

#[tokio::test]
async fn split_event_reaches_each_instance_in_order() {
    let engine = Engine::new(MemoryStore::new());
    let running = Runtime::builder(&engine)
        .process::<Desk>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    emit(&engine, 1, old::TripEvent::Dreamt { trip: 1 }).await;
    book(&engine, 1, 2).await;
    running.wait_until_idle().await.unwrap();
    let desk = running.process::<Desk>().unwrap();
    assert_eq!(desk.dead_letters().await.unwrap(), []);
    assert_eq!(notes(&engine, 1).await, ["booked 1", "confirmed 2"]);
    assert_eq!(notes(&engine, 2).await, ["hotel 1"]);
    running.stop().await;
}

/// Commands that were sent before an update of the program must not be executed again after it.
#[tokio::test]
async fn command_keys_are_stable_for_split_events() {
    let engine = Engine::new(MemoryStore::new());
    let running = Runtime::builder(&engine)
        .process::<Desk>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    book(&engine, 1, 2).await;
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    for (key, text) in [
        ("process/desk/1/1/0", "booked 1"),
        ("process/desk/1/1/1", "confirmed 2"),
        ("process/desk/2/1/0", "hotel 1"),
    ] {
        let about = key.as_bytes()[13].wrapping_sub(b'0').into();
        let text = text.to_owned();
        let again = engine.execute(TakeNote { about, text });
        let again = again.framework_key(key).await.unwrap();
        assert!(again.repeated(), "{key}");
    }
}

#[tokio::test]
async fn failure_of_one_part_rolls_back_all_parts() {
    let engine = Engine::new(MemoryStore::new());
    let running = Runtime::builder(&engine)
        .process::<Desk>(StartFrom::Beginning)
        .retry(without_delay())
        .start()
        .await
        .unwrap();
    book(&engine, 1, 13).await;
    book(&engine, 3, 4).await;
    running.wait_until_idle().await.unwrap();
    let desk = running.process::<Desk>().unwrap();
    let dead_letters = desk.dead_letters().await.unwrap();
    let [dead_letter] = &dead_letters[..] else {
        panic!("{dead_letters:?}")
    };
    assert_eq!(dead_letter.position.get(), 1);
    let state = format!("{:?}", dead_letter.state);
    assert!(state.contains("there is no such hotel"), "{state}");
    assert_eq!(notes(&engine, 1).await, [""; 0]);
    assert_eq!(notes(&engine, 3).await, ["booked 1", "confirmed 2"]);
    running.stop().await;
}

#[test]
fn scenario_applies_parts_of_its_instance() {
    let note = |text: &str| {
        let text = text.to_owned();
        TakeNote { about: 1, text }
    };
    factum_testkit::process::<Desk>(1)
        .when(BookedWithHotel { trip: 1, hotel: 2 })
        .then_sends([note("booked 1"), note("confirmed 2")])
        .then_completes();
}

/// Keeps the events that it handles, and fails at the first hotel.
#[derive(Clone, Default)]
struct Postcards(Arc<Mutex<Vec<(u64, TripEvent)>>>);

impl EventHandler<TripEvent> for Postcards {
    async fn handle(&self, event: &Recorded<TripEvent>) -> Result<(), HandlerError> {
        let mut written = self.0.lock().unwrap();
        written.push((event.record.position.get(), event.event.clone()));
        match (written.len(), &event.event) {
            (2, TripEvent::HotelBooked { .. }) => Err("no stamp".into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn handler_receives_all_parts_again_after_failure() {
    let engine = Engine::new(MemoryStore::new());
    let postcards = Postcards::default();
    let running = Runtime::builder(&engine)
        .handler("postcards", postcards.clone(), StartFrom::Beginning)
        .retry(without_delay())
        .start()
        .await
        .unwrap();
    book(&engine, 1, 2).await;
    running.wait_until_idle().await.unwrap();
    let handler = running.handler("postcards").unwrap();
    assert_eq!(handler.dead_letters().await.unwrap(), []);
    running.stop().await;
    let booked = (1, TripEvent::Booked { trip: 1 });
    let hotel = (1, TripEvent::HotelBooked { hotel: 2 });
    let confirmed = (1, TripEvent::Confirmed { trip: 1 });
    let written = postcards.0.lock().unwrap().clone();
    assert_eq!(
        written,
        [booked.clone(), hotel.clone(), booked, hotel, confirmed]
    );
}
