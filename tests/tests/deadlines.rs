//! Deadlines that decisions set: what they belong to, who executes them, and what becomes of those that cannot be.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use factum::clock::Clock as _;
use factum::document::{Document, Scan};
use factum::prelude::*;
use factum::process_managers::{DEADLINES, ProcessManagersBuilder, UndeliveredWork};
use factum::testkit::{Faults, Faulty, VirtualClock};
use factum::{Query, Read, RecordedEvent, RetryPolicy, Store};
use factum_memory::MemoryStore;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Told {
        #[tag]
        what: String,
    },
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = String, event = OrderEvent)]
struct Order {
    told: u32,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {
        self.told += 1;
    }
}

fn tell(what: &str) -> Events<OrderEvent> {
    let what = what.to_owned();
    OrderEvent::Told { what }.into()
}

/// What happens when it is executed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Fire {
    Once,
    /// Sets itself again, a day later, so many times.
    Again(u32),
    Refuse,
    Nothing,
    Panic,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not now")]
struct NotNow;

/// What a deadline executes.
#[derive(Command, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[command(on = Order)]
struct Remind {
    #[id]
    order: String,
    what: String,
    fire: Fire,
}

static JAMMED: AtomicBool = AtomicBool::new(true);

impl Decide for Remind {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        match self.fire {
            Fire::Once => Ok(tell(&self.what)),
            Fire::Again(0) => Ok(tell(&self.what)),
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

fn remind(order: &str, what: &str) -> Remind {
    let (order, what) = (order.to_owned(), what.to_owned());
    let fire = Fire::Once;
    Remind { order, what, fire }
}

/// Does what it says.
#[derive(Command, Debug, Clone, Default, Serialize, Deserialize)]
#[command(on = Order)]
struct Place {
    #[id]
    order: String,
    tells: Vec<String>,
    sets: Vec<(Remind, Duration)>,
    cancels: Vec<String>,
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

fn place(order: &str) -> Place {
    Place {
        order: order.to_owned(),
        ..Place::default()
    }
}

impl Place {
    fn tells(mut self, what: &str) -> Self {
        self.tells.push(what.to_owned());
        self
    }

    fn sets(self, what: &str, after: Duration) -> Self {
        self.fires(what, after, Fire::Once)
    }

    fn fires(mut self, what: &str, after: Duration, fire: Fire) -> Self {
        let remind = remind(&self.order, what);
        self.sets.push((Remind { fire, ..remind }, after));
        self
    }

    fn cancels(mut self, what: &str) -> Self {
        self.cancels.push(what.to_owned());
        self
    }
}

fn engine(store: impl Store) -> (Engine, VirtualClock) {
    let clock = VirtualClock::new();
    let engine = Engine::builder(store).clock(clock.clone());
    (engine.build(), clock)
}

fn deadlines(engine: &Engine) -> ProcessManagersBuilder {
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

async fn log(engine: &Engine) -> Vec<RecordedEvent> {
    let page = engine.store().read(Read::all(Query::all())).await;
    page.unwrap().events
}

async fn told(engine: &Engine) -> Vec<String> {
    let events = log(engine).await.into_iter();
    let told = events.map(|record| {
        let OrderEvent::Told { what } = record.decode().unwrap();
        format!("{} {what}", record.stream)
    });
    told.collect()
}

/// All that is kept of deadlines.
async fn kept(engine: &Engine) -> Vec<Document> {
    let all = Scan::prefix("process//deadlines/");
    engine.store().scan_documents(all).await.unwrap()
}

#[tokio::test]
async fn a_deadline_of_thirty_days_fires_at_once_in_virtual_time_and_knows_its_cause() {
    let began = Instant::now();
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .tells("placed")
        .tells("seen")
        .sets("pay/ment %", DAY * 30);
    let set = engine.execute(order).by("alice").await.unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY * 30 - Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await.len(), 2);
    clock.advance(Duration::from_secs(60));
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(told(&engine).await[2..], ["order-1 pay/ment %"]);
    let fired = &log(&engine).await[2].metadata;
    let cause = &set.events()[1];
    assert_eq!(fired.actor.as_deref(), Some("deadline pay/ment %"));
    assert_eq!(fired.causation_id, Some(cause.id));
    assert_eq!(fired.correlation_id, cause.metadata.correlation_id);
    assert!(fired.correlation_id.is_some());
    assert_eq!(kept(&engine).await, []);
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
}

#[tokio::test]
async fn what_was_moved_and_cancelled_leaves_nothing_behind() {
    let (engine, clock) = engine(MemoryStore::new());
    for hours in (1..20).rev() {
        let moved = place("1")
            .tells("moved")
            .sets("a", DAY + Duration::from_secs(hours * 3_600));
        engine.execute(moved).await.unwrap();
    }
    engine.execute(place("1").sets("b", DAY)).await.unwrap();
    engine
        .execute(place("1").cancels("b").cancels("never set"))
        .await
        .unwrap();
    // What a decision says last counts.
    engine
        .execute(place("2").sets("c", DAY).cancels("c"))
        .await
        .unwrap();
    engine
        .execute(place("3").sets("c", DAY).sets("c", DAY * 2))
        .await
        .unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY + Duration::from_secs(3_600));
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await[19..], ["order-1 a"]);
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    assert_eq!(told(&engine).await[20..], ["order-3 c"]);
    assert_eq!(kept(&engine).await, []);
}

#[tokio::test]
async fn the_command_of_a_deadline_may_set_it_again() {
    let (engine, clock) = engine(MemoryStore::new());
    engine
        .execute(place("1").fires("a", DAY, Fire::Again(3)))
        .await
        .unwrap();
    let running = deadlines(&engine).start();
    for day in 1..=6 {
        clock.advance(DAY + Duration::from_secs(1));
        running.wait_until_idle().await.unwrap();
        assert_eq!(log(&engine).await.len(), day.min(4), "day {day}");
    }
    running.stop().await;
    assert_eq!(kept(&engine).await, []);
}

#[tokio::test]
async fn a_refusal_and_a_decision_of_nothing_settle_it() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = place("1")
        .fires("a", DAY, Fire::Refuse)
        .fires("b", DAY, Fire::Nothing);
    let set = engine.execute(order).await.unwrap();
    assert_eq!((set.events(), set.version().get()), (&[][..], 0));
    assert_eq!(kept(&engine).await.len(), 4);
    let running = deadlines(&engine).start();
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    assert_eq!(running.undelivered(DEADLINES).await.unwrap(), []);
    running.stop().await;
    assert_eq!(kept(&engine).await, []);
    assert_eq!(log(&engine).await, []);
}

/// What another program executes.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Elsewhere {
    #[id]
    order: String,
}

impl Decide for Elsewhere {
    type Error = NotNow;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, NotNow> {
        Ok(tell("elsewhere"))
    }
}

#[tokio::test]
async fn what_no_running_program_knows_waits_and_holds_up_no_other() {
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("b", DAY * 2)).await.unwrap();
    engine.execute(place("2").sets("a", DAY)).await.unwrap();
    let knows_other = || {
        let builder = ProcessManagers::builder(&engine);
        builder
            .deadlines::<(Elsewhere,)>()
            .lease(Duration::from_millis(60))
            .start()
    };
    let other = knows_other();
    clock.advance(DAY * 2);
    other.wait_until_idle().await.unwrap();
    assert_eq!(log(&engine).await, []);
    assert_eq!(other.undelivered(DEADLINES).await.unwrap(), []);
    let running = deadlines(&engine).start();
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await, ["order-2 a", "order-1 b"]);
    running.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn what_fails_waits_for_somebody_and_holds_up_no_other() {
    let (engine, clock) = engine(MemoryStore::new());
    let order = |order| place(order).fires("a", DAY, Fire::Panic).sets("b", DAY * 2);
    engine.execute(order("1")).await.unwrap();
    engine.execute(order("2")).await.unwrap();
    let running = deadlines(&engine).start();
    clock.advance(DAY * 2);
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await, ["order-1 b", "order-2 b"]);
    let undelivered = running.undelivered(DEADLINES).await.unwrap();
    let [one, two] = &undelivered[..] else {
        panic!("{undelivered:?}")
    };
    assert_eq!((&*one.instance, &*two.instance), ("order-1/a", "order-2/a"));
    assert_eq!(one.attempts, 2);
    assert!(one.error.contains("it is jammed"), "{one:?}");
    assert!(matches!(&one.work, UndeliveredWork::Command { name, .. } if name == "Remind"));
    let discarded = running.discard_undelivered(DEADLINES, one, "nobody needs it");
    discarded.await.unwrap();
    JAMMED.store(false, SeqCst);
    running.retry(DEADLINES).await.unwrap();
    running.wait_until_idle().await.unwrap();
    assert_eq!(told(&engine).await[2..], ["order-2 a"]);
    running.stop().await;
    let waiting = kept(&engine).await;
    assert!(
        !waiting.iter().any(|it| it.key.contains("/instance/")),
        "{waiting:?}"
    );
}

#[tokio::test]
async fn a_name_has_its_bounds() {
    let (engine, _) = engine(MemoryStore::new());
    for name in ["", "a\nb", &"x".repeat(129)] {
        let refused = engine
            .execute(place("1").tells("placed").sets(name, DAY))
            .await;
        let Err(error @ ExecuteError::Deadline(_)) = refused else {
            panic!("{refused:?}")
        };
        let cut: String = name.chars().take(80).collect();
        let expected =
            format!("the deadline {cut:?}: a name has 1 to 128 bytes without control characters");
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!((log(&engine).await, kept(&engine).await), (vec![], vec![]));
    let longest = "/".repeat(128);
    engine
        .execute(place(&"1".repeat(500)).sets(&longest, DAY))
        .await
        .unwrap();
    assert_eq!(kept(&engine).await.len(), 2);
}

#[tokio::test]
async fn a_command_that_expects_another_version_sets_nothing() {
    let (engine, _) = engine(MemoryStore::new());
    let order = || place("1").tells("placed").sets("a", DAY);
    let refused = engine.execute(order()).expecting(3).await;
    assert!(
        matches!(refused, Err(ExecuteError::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(kept(&engine).await, []);
    engine.execute(order()).expecting(0).await.unwrap();
    assert_eq!(kept(&engine).await.len(), 2);
}

#[tokio::test]
async fn a_runner_that_sleeps_hears_of_what_is_due_before_it_would_wake() {
    let (engine, clock) = engine(MemoryStore::new());
    engine.execute(place("1").sets("late", DAY)).await.unwrap();
    let running = deadlines(&engine).lease(Duration::from_secs(3_600)).start();
    running.wait_until_idle().await.unwrap();
    let soon = Duration::from_millis(30);
    let began = clock.now();
    engine.execute(place("1").sets("soon", soon)).await.unwrap();
    let mut head = engine.store().watch();
    let fired = tokio::time::timeout(
        Duration::from_secs(60),
        head.wait_for(|head| head.get() == 1),
    );
    fired.await.expect("it fires").unwrap();
    assert!(clock.now().since(began) >= soon);
    running.stop().await;
}

#[tokio::test]
async fn commands_that_go_ahead_of_an_answer_set_theirs() {
    let slow = Faults {
        pauses: 0.9,
        longest_pause: Duration::from_millis(2),
        ..Faults::NONE
    };
    let (engine, clock) = engine(Faulty::new(MemoryStore::new(), 1, slow));
    let orders = (0..40).map(|number| {
        let order = place("1")
            .tells("placed")
            .sets(&format!("own {number}"), DAY)
            .sets("shared", DAY * 2);
        let engine = engine.clone();
        tokio::spawn(async move { engine.execute(order).await.unwrap() })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    let last = log(&engine).await[39].id;
    let running = deadlines(&engine).start();
    clock.advance(DAY * 3);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
    let mut fired = told(&engine).await.split_off(40);
    assert_eq!(fired.pop().as_deref(), Some("order-1 shared"));
    fired.sort_unstable();
    let mut expected: Vec<_> = (0..40)
        .map(|number| format!("order-1 own {number}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(fired, expected);
    // The last to be stored is the one that has moved it.
    assert_eq!(log(&engine).await[80].metadata.causation_id, Some(last));
}
