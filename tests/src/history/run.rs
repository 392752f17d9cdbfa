//! A run: clients and subscribers on one store, and a clock that notes when what was asked and answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum::{
    EventStore, Page, Position, Query, Read, RecordedEvent, StoreError, Subscription, Violation,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::random::Client;
use super::{Answer, Call, History, Kind, Subscriber};

/// How long a subscriber may take to see what is stored, once nobody writes any more.
const PATIENCE: Duration = Duration::from_secs(30);

/// How large a run is.
///
/// The seed decides each client's choices. What a client fills in from answers, such as the version that it
/// expects, depends on how the calls met; so the same seed asks alike, and a failure may take some runs to
/// come again.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where the choices come from.
    pub seed: u64,
    /// How many ask at the same time.
    pub clients: usize,
    /// How often each of them asks.
    pub turns: usize,
}

/// Ticks once for each reading: an order of all beginnings and ends that is true to real time.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// Runs `plan` on an empty store. Clients and subscribers share out the handles, which may be of several
/// connections or all of one.
///
/// # Errors
/// [`StoreError`] if a read fails; an append that fails is part of the history.
///
/// # Panics
/// If there are no handles, or a client does.
pub async fn run(plan: Plan, handles: &[Arc<dyn EventStore>]) -> Result<History, StoreError> {
    let clock = Arc::new(Clock::default());
    let (ending, end) = watch::channel(None);
    let mut subscribers = JoinSet::new();
    let queries = [Query::all(), Query::all(), Query::names(["x.made"])];
    for (number, query) in queries.into_iter().enumerate() {
        let store = handles[number % handles.len()].clone();
        let page_size = [7, 1_000, 3][number];
        let subscription = Subscription::new(store, query.clone(), Position::ZERO);
        let follower = Follower {
            number: plan.clients + number,
            query,
            page_size,
            subscription: subscription.page_size(page_size),
            clock: clock.clone(),
        };
        subscribers.spawn(follower.run(end.clone()));
    }
    let mut clients = JoinSet::new();
    for number in 0..plan.clients {
        let store = handles[number % handles.len()].clone();
        clients.spawn(ask(
            Client::new(number, plan.seed),
            plan.turns,
            store,
            clock.clone(),
        ));
    }
    let mut history = History::default();
    for calls in clients.join_all().await {
        history.calls.extend(calls?);
    }
    history.log = everything(&*handles[0]).await?;
    let head = history
        .log
        .last()
        .map_or(Position::ZERO, |event| event.position);
    ending.send_replace(Some(head));
    for seen in subscribers.join_all().await {
        let (subscriber, calls) = seen?;
        history.subscribers.push(subscriber);
        history.calls.extend(calls);
    }
    Ok(history)
}

async fn ask(
    mut client: Client,
    turns: usize,
    store: Arc<dyn EventStore>,
    clock: Arc<Clock>,
) -> Result<Vec<Call>, StoreError> {
    let mut calls = Vec::with_capacity(turns);
    for _ in 0..turns {
        let reads = client.dice.roll(3) == 0;
        let (began, kind) = if reads {
            let read = client.read();
            let began = clock.tick();
            let page = store.read(read.clone()).await?;
            (began, Kind::Read(read, page))
        } else {
            let append = client.append();
            let began = clock.tick();
            let answer = store.append(append.clone()).await;
            (began, Kind::Append(append, answer.into()))
        };
        let ended = clock.tick();
        client.learn(&kind);
        let client = client.number;
        calls.push(Call {
            client,
            began,
            ended,
            kind,
        });
    }
    Ok(calls)
}

impl Client {
    /// Keeps what an answer says about streams and the head.
    fn learn(&mut self, kind: &Kind) {
        let mut at = |stream: &factum::StreamId, version| {
            self.versions.insert(stream.clone(), version);
        };
        match kind {
            Kind::Read(_, page) => {
                page.events
                    .iter()
                    .for_each(|event| at(&event.stream, event.version));
                self.head = page.head;
            }
            Kind::Append(_, Answer::Stored(told)) => {
                told.versions
                    .iter()
                    .for_each(|(stream, version)| at(stream, *version));
                self.head = self.head.max(told.position);
            }
            Kind::Append(_, Answer::Conflict(conflict)) => {
                for violation in &conflict.violations {
                    match violation {
                        Violation::Version { stream, actual, .. } => at(stream, *actual),
                        Violation::Condition { found, .. } => self.head = self.head.max(*found),
                        _ => {}
                    }
                }
            }
            Kind::Append(..) => {}
        }
    }
}

/// A subscriber at work. Each of its pages is a read, too.
struct Follower {
    number: usize,
    query: Query,
    page_size: usize,
    subscription: Subscription,
    clock: Arc<Clock>,
}

impl Follower {
    async fn run(
        mut self,
        mut end: watch::Receiver<Option<Position>>,
    ) -> Result<(Subscriber, Vec<Call>), StoreError> {
        let mut seen: Vec<RecordedEvent> = Vec::new();
        let mut calls = Vec::new();
        let mut late = None;
        // Behind a full page the next one is read at once, before it is asked for.
        let mut since = None;
        loop {
            let last = *end.borrow_and_update();
            if last.is_some_and(|last| self.subscription.position() >= last) {
                break;
            }
            if last.is_some() && late.is_none() {
                late = Some(tokio::time::Instant::now() + PATIENCE);
            }
            let read = Read::all(self.query.clone()).after(self.subscription.position());
            let began = since.unwrap_or_else(|| self.clock.tick());
            let page: Page = tokio::select! {
                page = self.subscription.next_page() => page?,
                changed = end.changed() => match changed {
                    Ok(()) => continue,
                    // The run has failed.
                    Err(_) => break,
                },
                () = tokio::time::sleep_until(late.unwrap_or_else(tokio::time::Instant::now)),
                    if late.is_some() => break,
            };
            let ended = self.clock.tick();
            since = page.more.then(|| self.clock.tick());
            seen.extend(page.events.iter().cloned());
            let kind = Kind::Read(read.limit(self.page_size), page);
            calls.push(Call {
                client: self.number,
                began,
                ended,
                kind,
            });
        }
        let query = self.query;
        Ok((Subscriber { query, seen }, calls))
    }
}

async fn everything(store: &dyn EventStore) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(Position::ZERO, |event| event.position);
        let page = store.read(Read::all(Query::all()).after(after)).await?;
        events.extend(page.events);
        if !page.more {
            return Ok(events);
        }
    }
}
