//! A process manager in given/when/then tests.

use std::time::Duration;

use factum::prelude::*;
use factum_testkit::process;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
enum TripEvent {
    Booked { trip: u32 },
    Paid { trip: u32 },
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
struct HotelFull {
    trip: u32,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "trip", id = u32, event = TripEvent)]
struct Trip;

impl Apply<TripEvent> for Trip {
    fn apply(&mut self, _: &TripEvent) {}
}

macro_rules! command {
    ($name:ident) => {
        #[derive(Command, Debug, Clone, Serialize, Deserialize)]
        #[command(on = Trip)]
        struct $name {
            #[id]
            trip: u32,
        }

        impl Decide for $name {
            type Error = std::convert::Infallible;
            fn decide(&self, _: &Trip) -> Result<Events<TripEvent>, Self::Error> {
                Ok(Events::none())
            }
        }
    };
}

command!(BookHotel);
command!(BookFlight);

#[derive(ProcessManager, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[process_manager(
    name = "travel",
    id = u32,
    events = (TripEvent, HotelFull),
    commands = (BookHotel, BookFlight),
)]
struct Travel {
    trip: u32,
    rejected: Option<String>,
}

impl Apply<TripEvent> for Travel {
    fn apply(&mut self, event: &TripEvent) {
        if let TripEvent::Booked { trip } = event {
            self.trip = *trip;
        }
    }
}

impl Apply<HotelFull> for Travel {
    fn apply(&mut self, _: &HotelFull) {}
}

impl React<TripEvent> for Travel {
    fn correlate(event: &Recorded<TripEvent>) -> Correlation<u32> {
        match event.event {
            TripEvent::Booked { trip } => Correlation::Starts(trip),
            TripEvent::Paid { trip } => Correlation::Continues(trip),
        }
    }

    fn react(&self, event: &Recorded<TripEvent>, then: &mut Reactions<Self>) {
        match event.event {
            TripEvent::Booked { trip } => then
                .send(BookFlight { trip })
                .send(BookHotel { trip })
                .deadline("payment", Duration::from_secs(60)),
            TripEvent::Paid { .. } => then.cancel("payment").complete(),
        };
    }
}

impl React<HotelFull> for Travel {
    fn correlate(event: &Recorded<HotelFull>) -> Correlation<u32> {
        Correlation::Continues(event.trip)
    }

    fn react(&self, _: &Recorded<HotelFull>, then: &mut Reactions<Self>) {
        then.deadline("payment", then.at() + Duration::from_secs(5));
    }
}

impl Respond for Travel {
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>) {
        self.rejected = Some(rejection.error.clone());
        if let Some(BookFlight { trip }) = rejection.of() {
            then.send(BookHotel { trip });
        }
    }

    fn deadline(&mut self, deadline: &Deadline, then: &mut Reactions<Self>) {
        assert_eq!(deadline.name, "payment");
        then.complete();
    }
}

fn booked() -> TripEvent {
    TripEvent::Booked { trip: 7 }
}

#[test]
fn event_starts_or_continues_process_instance() {
    assert_eq!((Travel::NAME, Travel::VERSION), ("travel", 1));
    process::<Travel>(7)
        .when(booked())
        .then_sends((BookFlight { trip: 7 }, BookHotel { trip: 7 }))
        .then_deadline("payment", Duration::from_secs(60))
        .then_nothing_else()
        .when(HotelFull { trip: 7 })
        .then_deadline("payment", Duration::from_secs(5))
        .then_nothing_else();
    process::<Travel>(7)
        .when(TripEvent::Paid { trip: 7 })
        .then_nothing_else();
    process::<Travel>(8).when(booked()).then_nothing_else();
}

#[test]
fn respond_handles_rejection_and_deadline() {
    process::<Travel>(7)
        .given([booked()])
        .when_rejected(BookFlight { trip: 7 }, "no seat")
        .then_sends([BookHotel { trip: 7 }])
        .then_state(|travel| assert_eq!(travel.rejected.as_deref(), Some("no seat")))
        .then_nothing_else()
        .when_deadline("payment")
        .then_completes()
        .then_nothing_else();
    process::<Travel>(7)
        .given([booked()])
        .when(TripEvent::Paid { trip: 7 })
        .then_cancels("payment")
        .then_completes()
        .then_nothing_else();
}

#[test]
#[should_panic(expected = "unexpected commands of travel\n")]
fn then_sends_fails_on_other_commands() {
    process::<Travel>(7)
        .when(booked())
        .then_sends([BookFlight { trip: 7 }]);
}

#[test]
#[should_panic(
    expected = "unexpected commands of travel; events that instance \"7\" did not handle: booked belongs to instance \"8\""
)]
fn event_of_another_instance_is_reported() {
    process::<Travel>(7)
        .when(TripEvent::Booked { trip: 8 })
        .then_sends([BookHotel { trip: 8 }]);
}

#[test]
#[should_panic(expected = "deadlines of travel")]
fn then_nothing_else_reports_deadline() {
    process::<Travel>(7)
        .when(booked())
        .then_sends((BookFlight { trip: 7 }, BookHotel { trip: 7 }))
        .then_nothing_else();
}

#[test]
#[should_panic(expected = "no deadline \"evening\" is set")]
fn when_deadline_requires_a_set_deadline() {
    let booked = process::<Travel>(7).given([booked()]);
    let _ = booked.when_deadline("evening");
}
