//! The targets of commands, and the names of commands and projections.

use std::convert::Infallible;

use factum::prelude::*;
use factum::store::{Query, Tag};
use factum_testkit::given;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "seat")]
enum SeatEvent {
    Taken {
        #[tag]
        course: u32,
    },
    Led {
        #[tag("teacher")]
        teachers: Vec<String>,
        #[tag]
        course: Option<u32>,
        #[tag]
        room: u32,
    },
}

#[derive(Aggregate, Debug, Default, Clone, Serialize, Deserialize)]
#[aggregate(category = "seat", id = u32, event = SeatEvent, snapshot(every = 50, version = 2))]
struct Seat {
    taken: bool,
}

#[derive(Debug, Default)]
struct TakenInCourse(u32);

impl Apply<SeatEvent> for Seat {
    fn apply(&mut self, _: &SeatEvent) {
        self.taken = true;
    }
}

impl Apply<SeatEvent> for TakenInCourse {
    fn apply(&mut self, _: &SeatEvent) {
        self.0 += 1;
    }
}

#[derive(Command, Debug, Serialize)]
#[command(on = Seat)]
struct Take {
    #[id]
    seat: u32,
    course: u32,
}

impl Decide for Take {
    type Error = Infallible;

    fn decide(&self, seat: &Seat) -> Result<Events<SeatEvent>, Infallible> {
        if seat.taken {
            return Ok(Events::none());
        }
        Ok(SeatEvent::Taken {
            course: self.course,
        }
        .into())
    }
}

#[derive(Command, Debug, Serialize)]
#[command(on = (Seat, Seat), name = "seat.swap")]
struct Swap(#[id] u32, #[id] u32);

#[derive(Command, Debug, Serialize)]
#[command(on = Vec<Seat>)]
struct TakeAll {
    #[id]
    seats: Vec<u32>,
}

#[derive(Command, Debug, Serialize)]
#[command(on = Seat, query = TakenInCourse)]
struct TakeFirst {
    #[id]
    seat: u32,
    #[tag]
    course: u32,
    #[tag("teacher")]
    held_by: &'static str,
}

#[derive(Command, Debug, Serialize)]
#[command(on = Seat, query = TakenInCourse)]
struct TakeOwn {
    #[id]
    #[tag("course")]
    seat: u32,
}

#[derive(Projection)]
#[projection(events = SeatEvent)]
struct HTTPRequests;

#[test]
fn target_contains_id_fields() {
    assert_eq!(Take { seat: 1, course: 7 }.target(), &1);
    assert_eq!(Swap(1, 2).target(), (&1, &2));
    assert_eq!(TakeAll { seats: vec![3, 4] }.target(), &[3, 4]);
}

#[test]
fn dcb_query_matches_any_tag() {
    let tag = |key, value: &str| Tag::new(key, value).unwrap();
    let (seat, query) = TakeFirst {
        seat: 1,
        course: 7,
        held_by: "ann",
    }
    .target();
    assert_eq!(seat, &1);
    assert_eq!(
        *query.query().unwrap(),
        Query::any_tag([tag("course", "7"), tag("teacher", "ann")])
    );
    let (seat, query) = TakeOwn { seat: 3 }.target();
    assert_eq!(
        (seat, query.query().unwrap().clone()),
        (&3, Query::any_tag([tag("course", "3")]))
    );
    let (_, query) = TakeFirst {
        seat: 1,
        course: 7,
        held_by: "\n",
    }
    .target();
    assert!(query.query().is_err());
}

#[derive(Command, Debug, Serialize)]
#[command(on = Seat, query = TakenInCourse)]
struct TakeAny {
    #[id]
    seat: u32,
    #[tag]
    course: Option<u32>,
    #[tag("teacher")]
    teachers: Vec<&'static str>,
}

#[test]
fn optional_and_list_fields_are_any_number_of_tags() {
    let tag = |key, value: &str| Tag::new(key, value).unwrap();
    let query = |course, teachers: &[&'static str]| {
        let teachers = teachers.to_vec();
        let seat = 1;
        let take = TakeAny {
            seat,
            course,
            teachers,
        };
        take.target().1.query().cloned().map_err(Clone::clone)
    };
    assert_eq!(
        query(Some(7), &["ann", "bob"]).unwrap(),
        Query::any_tag([
            tag("course", "7"),
            tag("teacher", "ann"),
            tag("teacher", "bob")
        ])
    );
    assert_eq!(query(None, &[]).unwrap(), Query::none());
    assert!(query(None, &["ann", "\n"]).is_err());
    let led = |teachers: &[&str], course| SeatEvent::Led {
        teachers: teachers.iter().map(|it| (*it).to_owned()).collect(),
        course,
        room: 3,
    };
    assert_eq!(led(&[], None).tags().unwrap(), [tag("room", "3")]);
    assert_eq!(
        led(&["ann", "bob"], Some(7)).tags().unwrap(),
        [
            tag("teacher", "ann"),
            tag("teacher", "bob"),
            tag("course", "7"),
            tag("room", "3")
        ]
    );
    assert!(led(&["\n"], None).tags().is_err());
    assert_eq!(SeatEvent::TYPES[1].tags, ["teacher", "course", "room"]);
}

#[test]
fn command_decides_on_aggregate() {
    let taken = || SeatEvent::Taken { course: 7 };
    given(()).when(Take { seat: 1, course: 7 }).then([taken()]);
    given([taken()]).when(Take { seat: 1, course: 7 }).then(());
}

#[test]
fn names_default_to_type_name() {
    assert_eq!([Take::NAME, Swap::NAME], ["Take", "seat.swap"]);
    assert_eq!(
        (HTTPRequests::NAME, HTTPRequests::VERSION),
        ("http_requests", 1)
    );
    let snapshot = Seat::SNAPSHOT.unwrap();
    assert_eq!(
        (Seat::CATEGORY, snapshot.every, snapshot.schema_version),
        ("seat", 50, 2)
    );
}
