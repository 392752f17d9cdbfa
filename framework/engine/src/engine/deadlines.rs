//! What the append of a decision changes besides its streams: deadlines that are set and cancelled, and what is consumed.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use tokio::sync::Notify;

use super::attempt::Attempt;
use super::execute_error::ExecuteError;
use super::parts::{Decision, Slots};
use crate::boundary::Boundary as _;
use crate::codec::Encoder;
use crate::command::Decide;
use crate::process::deadline_document::{DeadlineContext, changes};
use factum_core::append::StreamAppend;
use factum_core::document::DocumentChanges;
use factum_core::timestamp::Timestamp;

/// Wakes whoever waits for the next deadline, when one is set in this process that is due before. Other processes look now
/// and then.
#[derive(Debug)]
pub struct Alarm {
    /// In microseconds since 1970.
    next: AtomicI64,
    sooner: Notify,
}

impl Alarm {
    pub fn new() -> Self {
        Self {
            next: AtomicI64::new(i64::MAX),
            sooner: Notify::new(),
        }
    }

    /// What is due next; `None`: that is not known, or there is nothing.
    pub fn expect(&self, next: Option<Timestamp>) {
        let next = next.map_or(i64::MAX, Timestamp::as_micros);
        self.next.store(next, SeqCst);
    }

    pub fn is_set(&self, due: Timestamp) {
        if due.as_micros() < self.next.load(SeqCst) {
            self.sooner.notify_one();
        }
    }

    /// Returns when something is due sooner than expected. Cancel safe.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }
}

/// What a decision does to deadlines.
pub struct Deadlines {
    pub changes: DocumentChanges,
    /// When the first of those that it sets is due.
    pub first: Option<Timestamp>,
}

impl<C: Decide> Attempt<'_, C> {
    /// The deadlines that the decision sets and cancels.
    pub fn deadlines(
        &self,
        (slots, decision): (&Slots<C>, &Decision<C>),
        streams: &[StreamAppend],
        encoder: &mut Encoder,
    ) -> Result<Deadlines, ExecuteError<C::Error>> {
        let mut deadlines = Deadlines {
            changes: DocumentChanges::new(),
            first: None,
        };
        let mut found = Vec::new();
        C::On::deadlines(slots, decision, &mut |stream, orders| {
            found.push((stream, orders));
        });
        if found.is_empty() {
            return Ok(deadlines);
        }
        let now = self.inner.clock.now();
        for (stream, orders) in found {
            orders.check()?;
            let own = streams.iter().filter(|part| part.stream == *stream);
            // Without an event of its own, it was set by what happened elsewhere.
            let last = own
                .chain(streams.iter().rev())
                .find_map(|part| part.events.last());
            let setting = DeadlineContext {
                stream,
                event: last.map(|event| event.id),
                metadata: &encoder.metadata,
                now,
            };
            let changes = changes(orders, &setting, || encoder.ids.next_id())?;
            deadlines.changes = deadlines.changes.with(changes);
            let set = orders.orders.values().flatten();
            let due = set.map(|order| order.when.due(now));
            deadlines.first = due.chain(deadlines.first).min();
        }
        Ok(deadlines)
    }

    /// `decided`, and what the append consumes. A document of both becomes what is decided, if it is as consuming it
    /// requires.
    pub fn with_consumed(&self, decided: DocumentChanges) -> DocumentChanges {
        if self.consumes.is_empty() {
            return decided;
        }
        let mut all = DocumentChanges::new();
        let mut consumed = self.consumes.clone().into_vec();
        for change in decided.into_vec() {
            let place = consumed.iter().position(|it| it.key == change.key);
            let required = place.and_then(|place| consumed.swap_remove(place).expected);
            all = all.and(change.key, required, change.effect);
        }
        let rest = consumed.into_iter();
        rest.fold(all, |all, it| all.and(it.key, it.expected, it.effect))
    }
}
