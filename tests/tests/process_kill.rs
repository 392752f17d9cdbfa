//! Process managers, deadlines and event handlers on several nodes that are killed and suspended.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/lines.rs"]
mod lines;
#[path = "support/moments.rs"]
mod moments;
#[path = "process_support/runner.rs"]
mod runner;
#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use factum::engine::{Clock as _, SystemClock};
use factum::event::DecodeEvent as _;
use factum::store::Scan;
use factum::store::{Query, Read, RecordedEvent};
use factum::{Position, Timestamp};
use factum_tests::backend::Backend;
use factum_tests::orders::{
    OrderEvent, PAYMENT_TIMEOUT, Pay, Place, REMINDER_DELAY, RecordStockEvent, ReminderEvent,
    STOCK, StockEvent,
};
use moments::Moments;
use runner::Runner;

/// The number of orders per article, which exceeds the stock.
const ORDERS: u64 = 12;

/// How long to wait for a decision of a node that may have lost its lease.
const PATIENCE: Duration = Duration::from_secs(1);

/// Places the orders of `article`; one in four is paid at once, and one in four near its deadlines.
async fn place_orders(backend: &Backend, article: u64) {
    let engine = backend.engine();
    let orders = article * ORDERS..(article + 1) * ORDERS;
    for order in orders.clone() {
        let place = Place {
            order,
            article,
            reminder: SystemClock.now() + REMINDER_DELAY,
        };
        engine.execute(place).await.unwrap();
        if order % 4 == 0 {
            engine.execute(Pay { order }).await.unwrap();
        }
    }
    for order in orders.filter(|order| order % 4 == 1) {
        engine.execute(Pay { order }).await.unwrap();
    }
}

/// Reads all events.
async fn log(backend: &Backend) -> Vec<RecordedEvent> {
    let engine = backend.engine();
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(Position::ZERO, |event| event.position);
        let read = Read::all(Query::all()).after(after);
        let page = engine.store().read(read).await.unwrap();
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

/// The events of one order, with their positions and times.
#[derive(Debug, Default)]
struct History {
    placed: Vec<Timestamp>,
    reminder: Option<Timestamp>,
    paid: Vec<(Position, Timestamp)>,
    reserved: usize,
    sold_out: usize,
    unpaid: Vec<Timestamp>,
    reminded: Vec<(Position, Timestamp)>,
}

/// Groups the events by order.
fn histories(events: &[RecordedEvent]) -> BTreeMap<u64, History> {
    let mut all: BTreeMap<u64, History> = BTreeMap::new();
    for record in events {
        let (position, at) = (record.position, record.recorded_at);
        if record.name.starts_with("stock.") {
            if let StockEvent::Reserved { order } = record.decode().unwrap() {
                all.entry(order).or_default().reserved += 1;
            }
            continue;
        }
        if record.name.starts_with("reminder.") {
            let ReminderEvent::Reminded { order } = record.decode().unwrap();
            all.entry(order).or_default().reminded.push((position, at));
            continue;
        }
        match record.decode().unwrap() {
            OrderEvent::Placed {
                order, reminder, ..
            } => {
                let history = all.entry(order).or_default();
                history.placed.push(at);
                history.reminder = Some(reminder);
            }
            OrderEvent::Paid { order } => all.entry(order).or_default().paid.push((position, at)),
            OrderEvent::Cancelled { order, reason } if reason == "payment" => {
                all.entry(order).or_default().unpaid.push(at);
            }
            OrderEvent::Cancelled { order, .. } => all.entry(order).or_default().sold_out += 1,
        }
    }
    all
}

impl History {
    /// Checks that each command had one effect, and that each deadline fired at most once and not early.
    fn check(&self) -> Result<(), &'static str> {
        let expect = |holds: bool, expectation| if holds { Ok(()) } else { Err(expectation) };
        expect(self.placed.len() == 1, "placed once")?;
        expect(
            self.reserved + self.sold_out == 1,
            "reserved or rejected once",
        )?;
        expect(self.reminded.len() <= 1, "reminded at most once")?;
        expect(
            self.unpaid.len() <= 1,
            "payment deadline fired at most once",
        )?;
        let due = self.placed[0] + PAYMENT_TIMEOUT;
        expect(
            self.unpaid.iter().all(|at| *at >= due),
            "payment deadline not early",
        )?;
        let reminder = self.reminder.ok_or("reminder time recorded")?;
        let in_time = |(_, at): &(Position, Timestamp)| *at >= reminder;
        expect(self.reminded.iter().all(in_time), "reminder not early")?;
        match self.paid.first() {
            Some((paid, at)) => {
                expect(
                    self.unpaid.is_empty() || *at >= due,
                    "not cancelled if paid in time",
                )?;
                let before = |(reminded, _): &(Position, Timestamp)| reminded < paid;
                expect(
                    self.reminded.iter().all(before),
                    "not reminded after payment",
                )
            }
            None => {
                expect(self.reminded.len() == 1, "reminded once")?;
                expect(self.unpaid.len() + self.sold_out >= 1, "cancelled")
            }
        }
    }
}

/// Asserts that all work is done, that each effect happened once, and that nothing is due.
async fn assert_done_once(backend: &Backend, articles: u64, handled: &BTreeSet<u64>) {
    let events = log(backend).await;
    let histories = histories(&events);
    assert_eq!(histories.len() as u64, articles * ORDERS);
    for (order, history) in &histories {
        if let Err(expectation) = history.check() {
            panic!("order {order} violates an expectation: {expectation}: {history:?}");
        }
    }
    let reserved: usize = histories.values().map(|it| it.reserved).sum();
    assert_eq!(reserved as u64, articles * STOCK);
    let orders = events.iter().filter(|it| it.name.starts_with("order."));
    let missed = orders.filter(|event| !handled.contains(&event.position.get()));
    assert_eq!(missed.count(), 0, "events that were never handled");
    for prefix in ["process/shop/due/", "process//deadlines/"] {
        let engine = backend.engine();
        let remaining = engine.store().scan_documents(Scan::prefix(prefix)).await;
        assert_eq!(remaining.unwrap(), [], "documents under {prefix}");
    }
}

/// Returns the holder of the lease for events.
async fn lease_holder(backend: &Backend) -> Option<String> {
    let lease = "consumer/process:shop/0000000001/00000".to_owned();
    let engine = backend.engine();
    let found = engine.store().find_documents(&[lease]).await.unwrap();
    let lease: serde_json::Value = found.first()?.decode().unwrap();
    Some(lease["holder"].as_str()?.to_owned())
}

/// Waits until one of the runners holds the lease, and returns its index.
async fn lease_owner(backend: &Backend, runners: &mut [Runner]) -> usize {
    let began = Instant::now();
    loop {
        let holder = lease_holder(backend).await;
        let holds = |it: &mut Runner| it.name().is_some() && it.name() == holder.as_deref();
        if let Some(index) = runners.iter_mut().position(holds) {
            return index;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "no runner holds the lease"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the log shows that every order is done.
async fn until_all_done(backend: &Backend, orders: u64) {
    let began = Instant::now();
    loop {
        let histories = histories(&log(backend).await);
        let open = histories.iter().find(|(_, it)| it.check().is_err());
        if histories.len() as u64 == orders && open.is_none() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{open:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed_lease_owners_repeat_and_lose_nothing(place: &str) {
    const KILLS: u64 = 10;
    let backend = Backend::open(place).await.unwrap();
    let mut moments = Moments::new();
    let mut runners = vec![Runner::start(place), Runner::start(place)];
    let mut handled = BTreeSet::new();
    for article in 0..KILLS {
        let owner = lease_owner(&backend, &mut runners).await;
        let mut owner = runners.swap_remove(owner);
        let (handled_before_kill, ()) = tokio::join!(
            async {
                let decisions = moments.next(STOCK);
                let kill = tokio::task::spawn_blocking(move || {
                    owner.wait_for_decisions(decisions, PATIENCE);
                    owner.kill()
                });
                kill.await.unwrap()
            },
            place_orders(&backend, article),
        );
        handled.extend(handled_before_kill);
        runners.push(Runner::start(place));
    }
    until_all_done(&backend, KILLS * ORDERS).await;
    for runner in runners {
        handled.extend(runner.end());
    }
    assert_done_once(&backend, KILLS, &handled).await;
}

async fn resumed_node_does_not_repeat_work(place: &str) {
    const SUSPENSIONS: u64 = 4;
    let backend = Backend::open(place).await.unwrap();
    let mut moments = Moments::new();
    let mut runners = vec![Runner::start(place), Runner::start(place)];
    for round in 0..SUSPENSIONS {
        let owner = lease_owner(&backend, &mut runners).await;
        let mut owner = runners.swap_remove(owner);
        let decisions = moments.next(STOCK);
        let (suspended, ()) = tokio::join!(
            async {
                let decided = tokio::task::spawn_blocking(move || {
                    owner.wait_for_decisions(decisions, PATIENCE);
                    owner
                });
                let owner = decided.await.unwrap();
                owner.suspend_between_writes(&backend).await;
                owner
            },
            place_orders(&backend, round * 2),
        );
        // The other node takes over and is processing when the suspended node resumes.
        let other = lease_owner(&backend, &mut runners).await;
        let mut other = runners.swap_remove(other);
        let ((), other) = tokio::join!(place_orders(&backend, round * 2 + 1), async {
            let decided = tokio::task::spawn_blocking(move || {
                other.wait_for_decisions(1, PATIENCE);
                other
            });
            let other = decided.await.unwrap();
            suspended.resume();
            other
        });
        runners = vec![suspended, other];
    }
    until_all_done(&backend, SUSPENSIONS * 2 * ORDERS).await;
    let ends = runners.into_iter().map(Runner::end);
    let handled = ends.flatten().collect();
    assert_done_once(&backend, SUSPENSIONS * 2, &handled).await;
}

async fn resumed_node_does_not_execute_rejected_command(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let dir = tempfile::tempdir().unwrap();
    let unblock = dir.path().join("unblock");
    let mut suspended = [Runner::start_blocked(place, &unblock)];
    lease_owner(&backend, &mut suspended).await;
    let [mut suspended] = suspended;
    let (order, article) = (0, 0);
    let reminder = SystemClock.now() + REMINDER_DELAY;
    let place_order = Place {
        order,
        article,
        reminder,
    };
    engine.execute(place_order).await.unwrap();
    let decided = tokio::task::spawn_blocking(move || {
        assert!(suspended.wait_for_decisions(1, PATIENCE * 30));
        suspended
    });
    let suspended = decided.await.unwrap();
    suspended.suspend_between_writes(&backend).await;
    let emit = async |event| {
        let receipt = engine.execute(RecordStockEvent { article, event }).await;
        receipt.unwrap()
    };
    emit(StockEvent::Closed).await;
    let other = Runner::start(place);
    until_all_done(&backend, 1).await;
    emit(StockEvent::Opened).await;
    std::fs::write(&unblock, "").unwrap();
    suspended.resume();
    suspended.end();
    other.end();
    let order = &histories(&log(&backend).await)[&0];
    assert_eq!((order.sold_out, order.reserved), (1, 0));
}

databases::on_each_store! {
    killed_lease_owners_repeat_and_lose_nothing;
    resumed_node_does_not_repeat_work;
    resumed_node_does_not_execute_rejected_command;
}
