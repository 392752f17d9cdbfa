//! [`DeliverySession`]: the deliveries of one webhook while this node holds its lease.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use factum::engine::Subscription;
use factum::event::EventSet as _;
use factum::store::{Query, Read, RecordedEvent, StoreError, error_chain};
use factum::{Aggregate as _, Engine, Position, Timestamp};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use uuid::Uuid;

use super::entry::{DeliveryEntry, Outcome};
use super::lease::{ProgressLease, SaveError};
use super::progress::{FailedAttempt, FailureConsequence, MAX_LANES, Progress};
use super::schedule::RetrySchedule;
use super::sender::{Exchange, SendResult, Sender};
use crate::specs::domain::{Spec, SpecEvent, SpecId};
use crate::webhooks::directory::{DeliveryRequest, WebhookView};

/// The number of events of a webhook that are delivered at a time.
const CONCURRENCY: usize = 8;

/// The number of repeated deliveries among them.
///
/// It is lower, so that a slow failure does not delay new events.
const REPEATED_CONCURRENCY: usize = 3;

/// The number of events that are read in advance.
const WINDOW: usize = 64;

/// The longest time between a delivery and the write of the progress.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);

/// The time after which an event that cannot be read is read again.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// The end of a session.
pub enum DeliverySessionEnd {
    /// The service stops, or the webhook is disabled or deleted.
    Ended,
    /// Another node has taken over.
    LeaseLost,
    /// The webhook must be disabled, for this reason.
    MustDisable(String),
    /// The store failed.
    Failed(StoreError),
}

/// The part of the work to which a delivery belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeliveryPart {
    /// The events in the order of the log.
    Log,
    /// The lane of a specification.
    Lane,
    /// The first replay.
    Replay,
}

/// A finished delivery.
struct Done {
    part: DeliveryPart,
    spec: Uuid,
    /// The event. `None` means that the log has none.
    event: Option<RecordedEvent>,
    sent: Result<SendResult, StoreError>,
}

/// The deliveries of one webhook while this node holds its lease.
pub struct DeliverySession {
    sender: Arc<Sender>,
    schedule: RetrySchedule,
    view: Arc<WebhookView>,
    lease: ProgressLease,
    progress: Progress,
    subscription: Subscription,
    /// The events that were read and whose delivery has not started.
    queue: VecDeque<(Uuid, RecordedEvent)>,
    /// The events that were read and neither received nor in a lane.
    outstanding: BTreeMap<Position, Uuid>,
    /// The specifications with a delivery in flight.
    busy: HashSet<Uuid>,
    in_flight: FuturesUnordered<BoxFuture<'static, Done>>,
    repeated: usize,
    is_replaying: bool,
    entries: Vec<DeliveryEntry>,
    /// The time of the first change since the last write.
    changed_at: Option<Timestamp>,
    must_disable: Option<String>,
}

impl DeliverySession {
    /// Creates the session of a webhook from its stored progress.
    pub fn new(
        sender: Arc<Sender>,
        schedule: RetrySchedule,
        view: Arc<WebhookView>,
        lease: ProgressLease,
        progress: Progress,
    ) -> Self {
        let mut session = Self {
            subscription: subscription(&sender.engine, progress.position),
            sender,
            schedule,
            view: view.clone(),
            lease,
            progress,
            queue: VecDeque::new(),
            outstanding: BTreeMap::new(),
            busy: HashSet::new(),
            in_flight: FuturesUnordered::new(),
            repeated: 0,
            is_replaying: false,
            entries: Vec::new(),
            changed_at: None,
            must_disable: None,
        };
        session.carry_out(view);
        session
    }

    /// Delivers events until the session ends.
    pub async fn run(
        mut self,
        views: &mut watch::Receiver<Arc<WebhookView>>,
        stop: &mut watch::Receiver<bool>,
    ) -> DeliverySessionEnd {
        let documents = self.sender.engine.store().clone();
        let end = loop {
            self.start_deliveries();
            if let Some(reason) = self.must_disable.take() {
                break DeliverySessionEnd::MustDisable(reason);
            }
            let wake = self.next_wake();
            let can_read = self.queue.len() < WINDOW && self.progress.lanes.len() < MAX_LANES;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break DeliverySessionEnd::Ended,
                changed = views.changed() => {
                    let view = views.borrow_and_update().clone();
                    if changed.is_err() || !view.is_enabled() {
                        break DeliverySessionEnd::Ended;
                    }
                    self.carry_out(view);
                }
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.finish(done),
                page = self.subscription.next_page(), if can_read => match page {
                    Ok(page) => self.enqueue(page.events),
                    Err(error) => break DeliverySessionEnd::Failed(error),
                },
                () = tokio::time::sleep(wake) => {}
            }
            let is_due = |since: Timestamp| {
                self.in_flight.is_empty() || Timestamp::now().since(since) >= SAVE_INTERVAL
            };
            if self.changed_at.is_some_and(is_due) || self.lease.is_aging() {
                match self
                    .lease
                    .save(&*documents, &self.progress, &self.entries)
                    .await
                {
                    Ok(()) => {
                        self.entries.clear();
                        self.changed_at = None;
                    }
                    Err(SaveError::Lost) => return DeliverySessionEnd::LeaseLost,
                    Err(SaveError::Store(error)) => return DeliverySessionEnd::Failed(error),
                }
            }
        };
        // Deliveries in flight are dropped, and repeated by the next session.
        match self
            .lease
            .release(&*documents, &self.progress, &self.entries)
            .await
        {
            Ok(()) => end,
            Err(SaveError::Lost) => DeliverySessionEnd::LeaseLost,
            Err(SaveError::Store(error)) => DeliverySessionEnd::Failed(error),
        }
    }

    /// Carries out the requests of `view` that are newer than the progress.
    fn carry_out(&mut self, view: Arc<WebhookView>) {
        for (revision, request) in &view.requests {
            if *revision <= self.progress.revision {
                continue;
            }
            self.progress.revision = *revision;
            match *request {
                DeliveryRequest::Restart { skip_to } => {
                    self.progress.restart(skip_to);
                    if skip_to.is_some() {
                        // Deliveries in flight may still end, and are logged.
                        self.queue.clear();
                        self.outstanding.clear();
                        let position = self.progress.position;
                        self.subscription = subscription(&self.sender.engine, position);
                    }
                }
                DeliveryRequest::Replay { from, to } => self.progress.replay(from, to),
            }
            self.mark_changed();
        }
        self.view = view;
    }

    /// Adds events that were read, in order.
    fn enqueue(&mut self, events: Vec<RecordedEvent>) {
        for event in events {
            // Streams of specifications have a UUID as key.
            let Ok(spec) = event.stream.key().parse::<Uuid>() else {
                continue;
            };
            if !self.progress.cover(spec, event.position) {
                self.outstanding.insert(event.position, spec);
                self.queue.push_back((spec, event));
            }
        }
        // A position alone is written when the lease is renewed.
        self.move_position();
    }

    /// Moves the position to the last event before the first outstanding one.
    fn move_position(&mut self) {
        let read = self.subscription.position();
        let first = self.outstanding.first_key_value();
        let position = first.map_or(read, |(first, _)| Position::new(first.get() - 1));
        self.progress.position = self.progress.position.max(position);
    }

    fn mark_changed(&mut self) {
        self.changed_at.get_or_insert_with(Timestamp::now);
    }

    /// Starts deliveries as long as there is room.
    fn start_deliveries(&mut self) {
        let mut index = 0;
        while self.in_flight.len() < CONCURRENCY && index < self.queue.len() {
            if self.busy.contains(&self.queue[index].0) {
                index += 1;
                continue;
            }
            let Some((spec, event)) = self.queue.remove(index) else {
                break;
            };
            self.busy.insert(spec);
            let (sender, view) = (self.sender.clone(), self.view.clone());
            self.in_flight.push(Box::pin(async move {
                let sent = Ok(sender.send(&view, &event).await);
                let event = Some(event);
                Done {
                    part: DeliveryPart::Log,
                    spec,
                    event,
                    sent,
                }
            }));
        }
        self.start_repeated();
    }

    /// Starts the attempts of lanes and replays that are due.
    fn start_repeated(&mut self) {
        let now = Timestamp::now();
        let due = self.progress.lanes.iter();
        let due =
            due.filter(|(spec, lane)| lane.failures.is_due(now) && !self.busy.contains(*spec));
        let free = REPEATED_CONCURRENCY.saturating_sub(self.repeated);
        let due: Vec<_> = due
            .map(|(spec, lane)| (*spec, lane.next))
            .take(free)
            .collect();
        for (spec, next) in due {
            self.busy.insert(spec);
            self.repeat(DeliveryPart::Lane, spec, next, Position::MAX);
        }
        if let Some(replay) = self.progress.replays.first()
            && !self.is_replaying
            && replay.failures.is_due(now)
        {
            let (next, to) = (replay.next, replay.to);
            self.is_replaying = true;
            self.repeat(DeliveryPart::Replay, Uuid::nil(), next, to);
        }
    }

    /// Reads the next event from position `next` up to `to`, and delivers it.
    ///
    /// The event is of one specification in a lane, and of any in a replay.
    fn repeat(&mut self, part: DeliveryPart, spec: Uuid, next: Position, to: Position) {
        let (sender, view) = (self.sender.clone(), self.view.clone());
        self.repeated += 1;
        self.in_flight.push(Box::pin(async move {
            match read_event(&sender.engine, part, spec, next, to).await {
                Err(error) => Done {
                    part,
                    spec,
                    event: None,
                    sent: Err(error),
                },
                Ok(None) => Done {
                    part,
                    spec,
                    event: None,
                    sent: Ok(SendResult::Skipped),
                },
                Ok(Some(event)) => {
                    let sent = Ok(sender.send(&view, &event).await);
                    Done {
                        part,
                        spec,
                        event: Some(event),
                        sent,
                    }
                }
            }
        }));
    }

    /// Records a finished delivery.
    fn finish(&mut self, done: Done) {
        let Done {
            part,
            spec,
            event,
            sent,
        } = done;
        match part {
            DeliveryPart::Log => drop(self.busy.remove(&spec)),
            DeliveryPart::Lane => {
                self.busy.remove(&spec);
                self.repeated -= 1;
            }
            DeliveryPart::Replay => {
                self.is_replaying = false;
                self.repeated -= 1;
            }
        }
        if !matches!(sent, Ok(SendResult::Skipped)) {
            self.mark_changed();
        }
        match (event, sent) {
            (_, Err(error)) => self.postpone(part, spec, &error),
            (None, Ok(_)) => match part {
                DeliveryPart::Lane => self.progress.end_lane(spec),
                DeliveryPart::Replay => self.progress.replayed(Position::MAX),
                DeliveryPart::Log => {}
            },
            (Some(event), Ok(SendResult::Skipped)) => self.received(part, spec, &event, None),
            (Some(event), Ok(SendResult::Accepted(exchange))) => {
                self.received(part, spec, &event, Some(exchange.at));
                self.log(part, &event, exchange, Outcome::Delivered);
            }
            (Some(event), Ok(SendResult::Refused(exchange))) => {
                self.refused(part, spec, &event, exchange);
            }
        }
        self.move_position();
    }

    /// Reads the event again later, because the store failed.
    fn postpone(&mut self, part: DeliveryPart, spec: Uuid, error: &StoreError) {
        tracing::warn!(
            error = error_chain(error),
            "cannot read an event for a webhook, will retry"
        );
        let due = Some(Timestamp::now() + READ_PAUSE);
        let lane = self
            .progress
            .lanes
            .get_mut(&spec)
            .map(|lane| &mut lane.failures);
        let failures = match part {
            DeliveryPart::Replay => self
                .progress
                .replays
                .first_mut()
                .map(|replay| &mut replay.failures),
            DeliveryPart::Lane | DeliveryPart::Log => lane,
        };
        if let Some(failures) = failures {
            failures.due = due;
        }
    }

    fn received(
        &mut self,
        part: DeliveryPart,
        spec: Uuid,
        event: &RecordedEvent,
        at: Option<Timestamp>,
    ) {
        let position = event.position;
        self.outstanding.remove(&position);
        match part {
            DeliveryPart::Log | DeliveryPart::Lane => self.progress.succeeded(spec, position, at),
            DeliveryPart::Replay => self.progress.replayed(position),
        }
    }

    fn refused(
        &mut self,
        part: DeliveryPart,
        spec: Uuid,
        event: &RecordedEvent,
        exchange: Exchange,
    ) {
        let position = event.position;
        let attempt = FailedAttempt {
            at: Timestamp::now(),
            random: fastrand::f64(),
            ask: exchange.ask,
        };
        let consequence = match part {
            DeliveryPart::Replay => self
                .progress
                .replay_failed(position, attempt, &self.schedule),
            DeliveryPart::Log | DeliveryPart::Lane => {
                self.progress
                    .failed(spec, position, attempt, &self.schedule)
            }
        };
        if part == DeliveryPart::Log {
            self.outstanding.remove(&position);
            self.move_to_lane(spec);
        }
        let reason = exchange.reason();
        if exchange.is_gone() {
            self.must_disable = Some(reason);
        } else if consequence == FailureConsequence::Disable {
            let hours = self.schedule.retry_time.as_secs() / 3_600;
            self.must_disable = Some(format!("no event was received for {hours} hours: {reason}"));
        }
        let outcome = match consequence {
            FailureConsequence::GiveUp => Outcome::GivenUp,
            FailureConsequence::Retry | FailureConsequence::Disable => Outcome::Failed,
        };
        self.log(part, event, exchange, outcome);
    }

    /// Moves the events of `spec` that were read to its lane, if it has one.
    fn move_to_lane(&mut self, spec: Uuid) {
        let (progress, outstanding) = (&mut self.progress, &mut self.outstanding);
        self.queue.retain(|(other, event)| {
            let is_covered = *other == spec && progress.cover(spec, event.position);
            if is_covered {
                outstanding.remove(&event.position);
            }
            !is_covered
        });
    }

    fn log(
        &mut self,
        part: DeliveryPart,
        event: &RecordedEvent,
        exchange: Exchange,
        outcome: Outcome,
    ) {
        let number = self.progress.next_entry;
        self.progress.next_entry += 1;
        self.entries.push(DeliveryEntry {
            number,
            event_id: event.id,
            event_type: event.name.to_string(),
            spec_id: event.stream.key().to_owned(),
            position: event.position,
            at: exchange.at,
            milliseconds: u64::try_from(exchange.duration.as_millis()).unwrap_or(u64::MAX),
            status: exchange.status,
            error: exchange.error,
            outcome,
            replay: part == DeliveryPart::Replay,
        });
    }

    /// Returns the time until something must be done.
    fn next_wake(&self) -> Duration {
        let now = Timestamp::now();
        let save = self.changed_at.map(|since| since + SAVE_INTERVAL);
        let has_room = self.repeated < REPEATED_CONCURRENCY;
        let due = self.idle_due().filter(|_| has_room);
        let next = save.into_iter().chain(due).min();
        // Short enough to renew the lease in time.
        let longest = super::lease::LEASE / 4;
        next.map_or(longest, |next| next.since(now).min(longest))
    }

    /// Returns the time of the next attempt that is not in flight.
    fn idle_due(&self) -> Option<Timestamp> {
        let replay = self.progress.replays.first().filter(|_| !self.is_replaying);
        let replay = replay.map(|replay| &replay.failures);
        let lanes = self.progress.lanes.iter();
        let lanes = lanes.filter(|(spec, _)| !self.busy.contains(*spec));
        let failures = lanes.map(|(_, lane)| &lane.failures).chain(replay);
        failures
            .map(|failures| failures.due.unwrap_or(Timestamp::from_micros(0)))
            .min()
    }
}

fn subscription(engine: &Engine, after: Position) -> Subscription {
    let query = Query::event_types(SpecEvent::names());
    engine.subscribe(query, after).page_size(WINDOW)
}

/// Reads the first event from position `next` up to `to`.
async fn read_event(
    engine: &Engine,
    part: DeliveryPart,
    spec: Uuid,
    next: Position,
    to: Position,
) -> Result<Option<RecordedEvent>, StoreError> {
    let after = next.get().saturating_sub(1);
    let read = match part {
        DeliveryPart::Lane => {
            let stream = Spec::stream(&SpecId(spec));
            Read::streams([stream.map_err(|error| StoreError::Failed(error.into()))?])
        }
        DeliveryPart::Log | DeliveryPart::Replay => {
            Read::all(Query::event_types(SpecEvent::names()))
        }
    };
    let page = engine.store().read(read.after(after).limit(1));
    let first = page.await?.events.into_iter().next();
    Ok(first.filter(|event| event.position <= to))
}
