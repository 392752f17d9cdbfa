//! A run of clients and subscribers on one store, with a logical clock that orders their calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use factum::Position;
use factum::engine::Subscription;
use factum::store::{EventStore, Page, Query, Read, RecordedEvent, StoreError, Violation};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::calls::{Call, History, Kind, Response, Subscriber};
use super::random::Client;

/// The time that a subscriber has to receive all events after the last write.
const SUBSCRIBER_TIMEOUT: Duration = Duration::from_secs(30);

/// The parameters of a run.
///
/// The seed determines the choices of each client. Values that a client takes from responses, such as expected
/// versions, depend on the scheduling. The same seed gives similar calls, but a failure may need several runs to
/// occur again.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of all random choices.
    pub seed: u64,
    /// The number of concurrent clients.
    pub clients: usize,
    /// The number of calls of each client.
    pub turns: usize,
}

/// A logical clock that orders the starts and ends of all calls as in real time.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// Runs `plan` on an empty store and returns the history.
///
/// Clients and subscribers are distributed over the handles, which may share a connection or not.
///
/// # Errors
/// Returns a [`StoreError`] if a read fails. An append that fails is part of the history.
///
/// # Panics
/// Panics if there are no handles, or if a client panics.
pub async fn run(plan: Plan, handles: &[Arc<dyn EventStore>]) -> Result<History, StoreError> {
    let clock = Arc::new(Clock::default());
    let (ending, end) = watch::channel(None);
    let mut subscribers = JoinSet::new();
    let queries = [Query::all(), Query::all(), Query::event_types(["x.made"])];
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
        clients.spawn(run_client(
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
    history.log = all_events(&*handles[0]).await?;
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

async fn run_client(
    mut client: Client,
    turns: usize,
    store: Arc<dyn EventStore>,
    clock: Arc<Clock>,
) -> Result<Vec<Call>, StoreError> {
    let mut calls = Vec::with_capacity(turns);
    for _ in 0..turns {
        let reads = client.dice.roll(3) == 0;
        let (started, kind) = if reads {
            let read = client.read();
            let started = clock.tick();
            let page = store.read(read.clone()).await?;
            (started, Kind::Read(read, page))
        } else {
            let append = client.append();
            let started = clock.tick();
            let result = store.append(append.clone()).await;
            (started, Kind::Append(append, result.into()))
        };
        let ended = clock.tick();
        client.learn(&kind);
        let client = client.number;
        calls.push(Call {
            client,
            started,
            ended,
            kind,
        });
    }
    Ok(calls)
}

impl Client {
    /// Records the versions and the head of a response.
    fn learn(&mut self, kind: &Kind) {
        let mut set_version = |stream: &factum::StreamId, version| {
            self.versions.insert(stream.clone(), version);
        };
        match kind {
            Kind::Read(_, page) => {
                page.events
                    .iter()
                    .for_each(|event| set_version(&event.stream, event.version));
                self.head = page.head;
            }
            Kind::Append(_, Response::Stored(receipt)) => {
                receipt
                    .versions
                    .iter()
                    .for_each(|(stream, version)| set_version(stream, *version));
                self.head = self.head.max(receipt.position);
            }
            Kind::Append(_, Response::Conflict(conflict)) => {
                for violation in &conflict.violations {
                    match violation {
                        Violation::Version { stream, actual, .. } => set_version(stream, *actual),
                        Violation::Condition { found, .. } => self.head = self.head.max(*found),
                        _ => {}
                    }
                }
            }
            Kind::Append(..) => {}
        }
    }
}

/// A running subscriber. Each of its pages is also recorded as a read.
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
        let mut timeout_at = None;
        // After a full page, the subscription reads the next page before it returns this one. So the start of the
        // call that returned this page is the latest time that is certainly before the start of that read.
        let mut prefetch_started = None;
        loop {
            let last = *end.borrow_and_update();
            if last.is_some_and(|last| self.subscription.position() >= last) {
                break;
            }
            if last.is_some() && timeout_at.is_none() {
                timeout_at = Some(tokio::time::Instant::now() + SUBSCRIBER_TIMEOUT);
            }
            let read = Read::all(self.query.clone()).after(self.subscription.position());
            let called = self.clock.tick();
            let page: Page = tokio::select! {
                page = self.subscription.next_page() => page?,
                changed = end.changed() => match changed {
                    Ok(()) => continue,
                    // The run has failed.
                    Err(_) => break,
                },
                () = tokio::time::sleep_until(timeout_at.unwrap_or_else(tokio::time::Instant::now)),
                    if timeout_at.is_some() => break,
            };
            let ended = self.clock.tick();
            let started = prefetch_started.unwrap_or(called);
            prefetch_started = page.more.then_some(called);
            seen.extend(page.events.iter().cloned());
            let kind = Kind::Read(read.limit(self.page_size), page);
            calls.push(Call {
                client: self.number,
                started,
                ended,
                kind,
            });
        }
        let query = self.query;
        Ok((Subscriber { query, seen }, calls))
    }
}

async fn all_events(store: &dyn EventStore) -> Result<Vec<RecordedEvent>, StoreError> {
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
