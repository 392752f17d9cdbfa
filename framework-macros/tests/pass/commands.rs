//! Commands of every shape.

use factum::command::{Folded, Queried};
use factum::prelude::*;

#[derive(Event, Serialize, Deserialize)]
enum SeatEvent {
    Taken,
    TakenIn {
        #[tag]
        course: u32,
        #[tag]
        student: Option<String>,
    },
}

#[derive(Event, Serialize, Deserialize)]
enum RoomEvent {
    Opened,
    Joined {
        #[tag("room")]
        rooms: Vec<String>,
    },
}

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "seat", id = u32, event = SeatEvent)]
struct Seat;

#[derive(Aggregate, Default, Clone)]
#[aggregate(category = "room", id = String, event = RoomEvent)]
struct Room;

#[derive(Default)]
struct Taken(u32);

impl Apply<SeatEvent> for Seat {
    fn apply(&mut self, _: &SeatEvent) {}
}

impl Apply<RoomEvent> for Room {
    fn apply(&mut self, _: &RoomEvent) {}
}

impl Apply<SeatEvent> for Taken {
    fn apply(&mut self, _: &SeatEvent) {
        self.0 += 1;
    }
}

impl Apply<RoomEvent> for Taken {
    fn apply(&mut self, _: &RoomEvent) {}
}

#[derive(Command, Serialize)]
#[command(on = Seat)]
struct Take {
    #[id]
    r#type: u32,
    by: String,
}

#[derive(Command, Serialize)]
#[command(on = Seat, name = "seat.free", crate = factum)]
struct Free(#[id] u32);

#[derive(Command, Serialize)]
#[command(on = (Seat, Room))]
struct Two {
    #[id]
    seat: u32,
    #[id]
    room: String,
}

#[derive(Command, Serialize)]
#[command(on = (Seat, Seat, Room, Vec<Seat>))]
struct Four(#[id] u32, #[id] u32, u64, #[id] String, #[id] Vec<u32>);

#[derive(Command, Serialize)]
#[command(on = Vec<Seat>)]
struct All {
    #[id]
    seats: Vec<u32>,
}

#[derive(Command, Serialize)]
#[command(on = Seat, query = Taken)]
struct TakeIfFree {
    #[id]
    seat: u32,
    #[tag]
    course: u32,
    #[tag("student")]
    by: String,
}

#[derive(Command, Serialize)]
#[command(on = (Seat, Room), query = Taken, events = (SeatEvent, RoomEvent))]
struct TakeBoth {
    #[id]
    seat: u32,
    #[id]
    #[tag("room")]
    room: String,
}

#[derive(Command, Serialize)]
#[command(on = Vec<Seat>, query = Taken, events = SeatEvent)]
struct TakeMany(#[id] Vec<u32>, #[tag("course")] u32);

impl Decide for TakeIfFree {
    type Error = std::convert::Infallible;

    fn decide(&self, (_, taken): (&Seat, &Taken)) -> Result<Events<SeatEvent>, Self::Error> {
        Ok(if taken.0 == 0 {
            SeatEvent::Taken.into()
        } else {
            Events::none()
        })
    }
}

// The tokens of a field can have another span context than the derive.
macro_rules! command {
    ($name:ident, $field:ident: $type:ty) => {
        #[derive(Command, Serialize)]
        #[command(on = Seat)]
        struct $name {
            #[id]
            $field: $type,
        }
    };
}
command!(Generated, seat: u32);

fn on<C: Command<On = B>, B>(_: &C) {}

fn main() {
    assert_eq!((Take::NAME, Free::NAME), ("Take", "seat.free"));
    assert_eq!(
        Take {
            r#type: 1,
            by: "me".into()
        }
        .target(),
        &1
    );
    assert_eq!(Free(2).target(), &2);
    assert_eq!(
        Two {
            seat: 1,
            room: "a".into()
        }
        .target(),
        (&1, &"a".to_owned())
    );
    let four = Four(1, 2, 0, "a".into(), vec![3]);
    assert_eq!(four.target(), (&1, &2, &"a".to_owned(), &[3][..]));
    assert_eq!(All { seats: vec![1, 2] }.target(), &[1, 2]);
    assert_eq!(Generated { seat: 3 }.target(), &3);

    let take = TakeIfFree {
        seat: 1,
        course: 7,
        by: "me".into(),
    };
    on::<_, Queried<Seat, Folded<Taken, SeatEvent>>>(&take);
    assert_eq!(take.target().0, &1);
    assert!(take.target().1.query().is_ok());
    let both = TakeBoth {
        seat: 1,
        room: "a".into(),
    };
    on::<_, Queried<(Seat, Room), Folded<Taken, (SeatEvent, RoomEvent)>>>(&both);
    on::<_, Queried<Vec<Seat>, Folded<Taken, SeatEvent>>>(&TakeMany(vec![1], 2));
    assert!(
        TakeIfFree {
            by: "\n".into(),
            ..take
        }
        .target()
        .1
        .query()
        .is_err()
    );
}
