//! Process managers, deadlines of decisions and handlers in several processes on one store, which are killed and stopped.

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

use factum::clock::{Clock as _, SystemClock};
use factum::document::Scan;
use factum::{Position, Query, Read, RecordedEvent, Timestamp};
use factum_tests::backend::Backend;
use factum_tests::orders::{
    OrderEvent, PAYMENT_TIMEOUT, Pay, Place, REMINDER_DELAY, RecordStockEvent, ReminderEvent,
    STOCK, StockEvent,
};
use moments::Moments;
use runner::Runner;

/// How many orders there are for one article: more than can be had.
const ORDERS: u64 = 12;

/// How long to wait for somebody who may do nothing any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// Orders of `article`, each fourth of which is paid at once and each fourth when its deadlines are near.
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

/// What has become of one order, each with its place and its time.
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
    /// Each command has happened once, and each deadline has passed once, not before its time, or not at all.
    fn check(&self) -> Result<(), &'static str> {
        let expect = |holds: bool, else_this| if holds { Ok(()) } else { Err(else_this) };
        expect(self.placed.len() == 1, "placed once")?;
        expect(
            self.reserved + self.sold_out == 1,
            "reserved or rejected once",
        )?;
        expect(self.reminded.len() <= 1, "reminded once")?;
        expect(self.unpaid.len() <= 1, "its time has passed once")?;
        let due = self.placed[0] + PAYMENT_TIMEOUT;
        expect(self.unpaid.iter().all(|at| *at >= due), "not too early")?;
        let reminder = self.reminder.ok_or("it has a reminder")?;
        let in_time = |(_, at): &(Position, Timestamp)| *at >= reminder;
        expect(self.reminded.iter().all(in_time), "reminded not too early")?;
        match self.paid.first() {
            Some((paid, at)) => {
                expect(self.unpaid.is_empty() || *at >= due, "paid in time")?;
                let before = |(reminded, _): &(Position, Timestamp)| reminded < paid;
                expect(self.reminded.iter().all(before), "paid is not reminded")
            }
            None => {
                expect(self.reminded.len() == 1, "reminded")?;
                expect(self.unpaid.len() + self.sold_out >= 1, "cancelled")
            }
        }
    }
}

/// That all is done and was done once, that each article was sold as often as it was there, and that nothing is due.
async fn assert_is_done_once(backend: &Backend, articles: u64, mails: &BTreeSet<u64>) {
    let events = log(backend).await;
    let histories = histories(&events);
    assert_eq!(histories.len() as u64, articles * ORDERS);
    for (order, history) in &histories {
        if let Err(not) = history.check() {
            panic!("of order {order} it does not hold: {not}: {history:?}");
        }
    }
    let reserved: usize = histories.values().map(|it| it.reserved).sum();
    assert_eq!(reserved as u64, articles * STOCK);
    let orders = events.iter().filter(|it| it.name.starts_with("order."));
    let lost = orders.filter(|event| !mails.contains(&event.position.get()));
    assert_eq!(lost.count(), 0, "each event was handled at least once");
    for kept in ["process/shop/due/", "process//deadlines/"] {
        let engine = backend.engine();
        let left = engine.store().scan_documents(Scan::prefix(kept)).await;
        assert_eq!(left.unwrap(), [], "under {kept}");
    }
}

/// Who takes the events, as the lease says.
async fn holder(backend: &Backend) -> Option<String> {
    let lease = "projection/process:shop/0000000001/00000".to_owned();
    let engine = backend.engine();
    let found = engine.store().find_documents(&[lease]).await.unwrap();
    let lease: serde_json::Value = found.first()?.decode().unwrap();
    Some(lease["holder"].as_str()?.to_owned())
}

/// Which of the runners takes the events.
async fn owner(backend: &Backend, runners: &mut [Runner]) -> usize {
    let began = Instant::now();
    loop {
        let holder = holder(backend).await;
        let owns = |it: &mut Runner| it.name().is_some() && it.name() == holder.as_deref();
        if let Some(owner) = runners.iter_mut().position(owns) {
            return owner;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nobody owns it");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until what is due for these orders is done, as the log says.
async fn all_done(backend: &Backend, orders: u64) {
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

async fn whoever_holds_the_lease_is_killed_again_and_again(place: &str) {
    const KILLS: u64 = 10;
    let backend = Backend::open(place).await.unwrap();
    let mut moments = Moments::new();
    let mut runners = vec![Runner::start(place), Runner::start(place)];
    let mut mails = BTreeSet::new();
    for article in 0..KILLS {
        let owner = owner(&backend, &mut runners).await;
        let mut killed = runners.swap_remove(owner);
        let (killed, ()) = tokio::join!(
            async {
                let decided = moments.next(STOCK);
                let heard = tokio::task::spawn_blocking(move || {
                    killed.hear_deciding(decided, PATIENCE);
                    killed.kill()
                });
                heard.await.unwrap()
            },
            place_orders(&backend, article),
        );
        mails.extend(killed);
        runners.push(Runner::start(place));
    }
    all_done(&backend, KILLS * ORDERS).await;
    for runner in runners {
        mails.extend(runner.end());
    }
    assert_is_done_once(&backend, KILLS, &mails).await;
}

async fn whoever_was_stopped_does_nothing_twice_when_it_goes_on(place: &str) {
    const STOPS: u64 = 4;
    let backend = Backend::open(place).await.unwrap();
    let mut moments = Moments::new();
    let mut runners = vec![Runner::start(place), Runner::start(place)];
    for round in 0..STOPS {
        let owner = owner(&backend, &mut runners).await;
        let mut stopped = runners.swap_remove(owner);
        let decided = moments.next(STOCK);
        let (stopped, ()) = tokio::join!(
            async {
                let heard = tokio::task::spawn_blocking(move || {
                    stopped.hear_deciding(decided, PATIENCE);
                    stopped
                });
                let stopped = heard.await.unwrap();
                stopped.stop_between_writes(&backend).await;
                stopped
            },
            place_orders(&backend, round * 2),
        );
        // The other takes over, and is at work when this one goes on as if nothing had happened.
        let other = self::owner(&backend, &mut runners).await;
        let mut other = runners.swap_remove(other);
        let ((), other) = tokio::join!(place_orders(&backend, round * 2 + 1), async {
            let heard = tokio::task::spawn_blocking(move || {
                other.hear_deciding(1, PATIENCE);
                other
            });
            let other = heard.await.unwrap();
            stopped.go_on();
            other
        });
        runners = vec![stopped, other];
    }
    all_done(&backend, STOPS * 2 * ORDERS).await;
    let ends = runners.into_iter().map(Runner::end);
    let mails = ends.flatten().collect();
    assert_is_done_once(&backend, STOPS * 2, &mails).await;
}

async fn what_was_rejected_elsewhere_does_not_happen_when_one_who_was_stopped_goes_on(place: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let dir = tempfile::tempdir().unwrap();
    let goes_on = dir.path().join("goes on");
    let mut stopped = [Runner::start_held(place, &goes_on)];
    owner(&backend, &mut stopped).await;
    let [mut stopped] = stopped;
    let (order, article) = (0, 0);
    let reminder = SystemClock.now() + REMINDER_DELAY;
    let place_order = Place {
        order,
        article,
        reminder,
    };
    engine.execute(place_order).await.unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        assert!(stopped.hear_deciding(1, PATIENCE * 30));
        stopped
    });
    let stopped = heard.await.unwrap();
    stopped.stop_between_writes(&backend).await;
    let tell = async |event| {
        let told = engine.execute(RecordStockEvent { article, event }).await;
        told.unwrap()
    };
    tell(StockEvent::Closed).await;
    let other = Runner::start(place);
    all_done(&backend, 1).await;
    tell(StockEvent::Opened).await;
    std::fs::write(&goes_on, "").unwrap();
    stopped.go_on();
    stopped.end();
    other.end();
    let order = &histories(&log(&backend).await)[&0];
    assert_eq!((order.sold_out, order.reserved), (1, 0));
}

databases::on_each_store! {
    whoever_holds_the_lease_is_killed_again_and_again;
    whoever_was_stopped_does_nothing_twice_when_it_goes_on;
    what_was_rejected_elsewhere_does_not_happen_when_one_who_was_stopped_goes_on;
}
