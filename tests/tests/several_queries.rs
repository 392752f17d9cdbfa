//! Commands with several DCB queries: `query = (Course, Student)`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use factum::prelude::*;
use factum::store::Store;
use factum_memory::MemoryStore;
use factum_sqlite::SqliteStore;
use factum_testkit::given;
use tokio::task::JoinSet;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "enrolment")]
enum EnrolmentEvent {
    Enrolled {
        #[tag]
        course: u32,
        #[tag]
        student: u32,
    },
    Cancelled {
        #[tag]
        course: u32,
        #[tag]
        student: u32,
    },
}

use EnrolmentEvent::{Cancelled, Enrolled};

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "enrolment", id = u32, event = EnrolmentEvent)]
struct Enrolment {
    exists: bool,
}

impl Apply<EnrolmentEvent> for Enrolment {
    fn apply(&mut self, event: &EnrolmentEvent) {
        self.exists = matches!(event, Enrolled { .. });
    }
}

/// The number of students of a course.
#[derive(Debug, Default)]
struct Course(i32);

impl Apply<EnrolmentEvent> for Course {
    fn apply(&mut self, event: &EnrolmentEvent) {
        self.0 += match event {
            Enrolled { .. } => 1,
            Cancelled { .. } => -1,
        };
    }
}

/// The number of courses of a student.
#[derive(Debug, Default)]
struct Student(i32);

impl Apply<EnrolmentEvent> for Student {
    fn apply(&mut self, event: &EnrolmentEvent) {
        self.0 += match event {
            Enrolled { .. } => 1,
            Cancelled { .. } => -1,
        };
    }
}

const SEATS: i32 = 5;
const COURSES: i32 = 3;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the course has {course} students, the student has {student} courses")]
struct Full {
    course: i32,
    student: i32,
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Enrolment, query = (Course, Student))]
struct Enrol {
    #[id]
    number: u32,
    #[tag(Course)]
    course: u32,
    #[tag(Student)]
    student: u32,
}

fn decide(course: (u32, &Course), student: (u32, &Student)) -> Result<EnrolmentEvent, Full> {
    match course.1.0 >= SEATS || student.1.0 >= COURSES {
        true => Err(Full {
            course: course.1.0,
            student: student.1.0,
        }),
        false => Ok(Enrolled {
            course: course.0,
            student: student.0,
        }),
    }
}

impl Decide for Enrol {
    type Error = Full;
    fn decide(
        &self,
        (_, (course, student)): (&Enrolment, (&Course, &Student)),
    ) -> Result<Events<EnrolmentEvent>, Full> {
        Ok(decide((self.course, course), (self.student, student))?.into())
    }
}

/// Like [`Enrol`], with the queries in the other order.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Enrolment, query = (Student, Course))]
struct EnrolReversed {
    #[id]
    number: u32,
    #[tag(Course)]
    course: u32,
    #[tag(Student)]
    student: u32,
}

impl Decide for EnrolReversed {
    type Error = Full;
    fn decide(
        &self,
        (_, (student, course)): (&Enrolment, (&Student, &Course)),
    ) -> Result<Events<EnrolmentEvent>, Full> {
        Ok(decide((self.course, course), (self.student, student))?.into())
    }
}

/// Shows the number of students in two courses: each state is folded from its own events.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(
    on = Enrolment,
    query(Course as from, events = EnrolmentEvent::{Enrolled}),
    query(Course as to),
    query(Student)
)]
struct ShowMove {
    #[id]
    number: u32,
    #[tag("course", from)]
    from: u32,
    #[tag("course", to)]
    to: u32,
    #[tag(Student)]
    #[tag("student", to)]
    student: u32,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0} {1} {2}")]
struct Shows(i32, i32, i32);

impl Decide for ShowMove {
    type Error = Shows;
    fn decide(
        &self,
        (_, (from, to, student)): (&Enrolment, (&Course, &Course, &Student)),
    ) -> Result<Events<EnrolmentEvent>, Shows> {
        Err(Shows(from.0, to.0, student.0))
    }
}

/// Has two queries that are equal if the courses are.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Enrolment, query = (Course as first, Course as second))]
struct EnrolInBoth {
    #[id]
    number: u32,
    #[tag("course", first)]
    first: u32,
    #[tag("course", second)]
    second: u32,
}

impl Decide for EnrolInBoth {
    type Error = Full;
    fn decide(
        &self,
        (_, (first, second)): (&Enrolment, (&Course, &Course)),
    ) -> Result<Events<EnrolmentEvent>, Full> {
        let course = self.first;
        match first.0 + second.0 < 2 * SEATS {
            true => Ok(Enrolled { course, student: 0 }.into()),
            false => Err(Full {
                course: first.0,
                student: second.0,
            }),
        }
    }
}

fn enrol(number: u32, course: u32, student: u32) -> Enrol {
    Enrol {
        number,
        course,
        student,
    }
}

fn rejection<E: std::error::Error>(result: Result<factum::engine::Receipt, ExecuteError<E>>) -> E {
    match result {
        Err(ExecuteError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_state_folds_its_own_events() {
    let engine = Engine::new(MemoryStore::new());
    for (number, course, student) in [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 1), (5, 3, 9)] {
        engine
            .execute(enrol(number, course, student))
            .await
            .unwrap();
    }
    let show = |from, to, student| ShowMove {
        number: 9,
        from,
        to,
        student,
    };
    // The second query finds the events of the course or of the student.
    assert_eq!(
        rejection(engine.execute(show(1, 2, 1)).await),
        Shows(3, 2, 2)
    );
    assert_eq!(
        rejection(engine.execute(show(2, 3, 9)).await),
        Shows(1, 1, 1)
    );
    assert_eq!(
        rejection(engine.execute(show(7, 8, 7)).await),
        Shows(0, 0, 0)
    );
}

#[test]
fn scenario_folds_each_state_from_its_own_events() {
    let course = |course, student| Enrolled { course, student };
    let events = || [course(1, 1), course(1, 2), course(2, 1), course(3, 9)];
    let cancelled = || {
        [Cancelled {
            course: 1,
            student: 2,
        }]
    };
    given(((), (events(), cancelled())))
        .when(ShowMove {
            number: 9,
            from: 1,
            to: 2,
            student: 1,
        })
        .then_rejected(Shows(2, 2, 2));
    given(((), (events(), cancelled())))
        .when(EnrolReversed {
            number: 9,
            course: 1,
            student: 1,
        })
        .then([course(1, 1)]);
    let full: Vec<_> = (10..15).map(|student| course(1, student)).collect();
    given(((), full)).when(enrol(9, 1, 1)).then_rejected(Full {
        course: 5,
        student: 0,
    });
    let busy: Vec<_> = (10..13).map(|id| course(id, 1)).collect();
    given(((), busy)).when(enrol(9, 1, 1)).then_rejected(Full {
        course: 0,
        student: 3,
    });
}

#[tokio::test]
async fn equal_queries_of_a_command_do_not_block_it() {
    let engine = Engine::new(MemoryStore::new());
    let both = |number| EnrolInBoth {
        number,
        first: 1,
        second: 1,
    };
    let enrolments = async {
        for number in 0..SEATS as u32 {
            engine.execute(both(number)).await.unwrap();
        }
        rejection(engine.execute(both(99)).await)
    };
    let full = tokio::time::timeout(Duration::from_mins(1), enrolments).await;
    assert_eq!(
        full.unwrap(),
        Full {
            course: SEATS,
            student: SEATS
        }
    );
}

/// Executes a command until it is accepted or rejected.
async fn settle<C>(engine: Engine, command: C) -> bool
where
    C: Decide<Error = Full> + Clone,
{
    loop {
        match engine.execute(command.clone()).await {
            Ok(_) => return true,
            Err(ExecuteError::Rejected(_)) => return false,
            Err(ExecuteError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opposite_orders_do_not_block_each_other() {
    let engine = Engine::new(MemoryStore::new());
    let mut commands = JoinSet::new();
    for number in 0..2_000 {
        let (engine, course, student) = (engine.clone(), number % 3, number % 2);
        commands.spawn(async move {
            match number % 2 {
                0 => {
                    settle(
                        engine,
                        Enrol {
                            number,
                            course,
                            student,
                        },
                    )
                    .await
                }
                _ => {
                    settle(
                        engine,
                        EnrolReversed {
                            number,
                            course,
                            student: 0,
                        },
                    )
                    .await
                }
            }
        });
    }
    let settled = tokio::time::timeout(Duration::from_mins(2), commands.join_all()).await;
    let accepted = settled.expect("the commands wait for each other");
    assert_eq!(
        accepted.into_iter().filter(|accepted| *accepted).count(),
        COURSES as usize
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_keep_the_limits_of_both_queries() {
    check_limits(MemoryStore::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db"))
        .await
        .unwrap();
    check_limits(store).await;
}

/// Fills all courses through three engines on one store.
async fn check_limits(store: impl Store + Clone) {
    let engines: Vec<_> = (0..3).map(|_| Engine::new(store.clone())).collect();
    let (courses, students) = (6, 20);
    let mut commands = JoinSet::new();
    for number in 0..courses * students {
        let (course, student) = (number % courses, number / courses);
        let engine = engines[number as usize % engines.len()].clone();
        commands.spawn(async move {
            let accepted = match number % 2 {
                0 => {
                    settle(
                        engine,
                        Enrol {
                            number,
                            course,
                            student,
                        },
                    )
                    .await
                }
                _ => {
                    settle(
                        engine,
                        EnrolReversed {
                            number,
                            course,
                            student,
                        },
                    )
                    .await
                }
            };
            accepted.then_some((course, student))
        });
    }
    let (mut seats, mut taken) = (BTreeMap::new(), BTreeMap::new());
    for (course, student) in commands.join_all().await.into_iter().flatten() {
        *seats.entry(course).or_insert(0) += 1;
        *taken.entry(student).or_insert(0) += 1;
    }
    // Twenty students with three courses each need more seats than there are.
    assert_eq!(seats.values().sum::<i32>(), courses as i32 * SEATS);
    assert!(
        seats.values().all(|students| *students == SEATS),
        "{seats:?}"
    );
    assert!(
        taken.values().all(|courses| *courses <= COURSES),
        "{taken:?}"
    );
    let show = ShowMove {
        number: 9_999,
        from: 0,
        to: 1,
        student: 7_777,
    };
    assert_eq!(
        rejection(engines[0].execute(show).await),
        Shows(SEATS, SEATS, 0)
    );
}
