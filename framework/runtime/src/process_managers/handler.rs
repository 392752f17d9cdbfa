//! [`EventHandler`]: effects outside of the store.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};

use crate::projections::{EventError, ProjectionError, ReadModel, Step, StepError, guarded};
use factum_core::document::Revision;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::stream_id::StreamId;
use factum_engine::error::panic_message;
use factum_engine::event::Event;
use factum_engine::event_set::EventSet as _;
use factum_engine::record::{DecodeEvent as _, Recorded, RecordedEvent};

/// What one type of events leads to outside of the store: a mail, a call of another system.
///
/// Each event is delivered at least once: again after a failure, and again after a crash that came between the effect
/// and the note of it. Its id, `event.record.id`, is the same each time: give it to the other system as its
/// idempotency key. The events of one stream are delivered in order; what fails as often as the policy allows is
/// parked, and the later events of its stream with it. What was [split](factum_engine::legacy::LegacyEvent) since is delivered part by part,
/// again all of it after a failure; the parts share an id.
///
/// ```
/// # use factum::prelude::*;
/// use factum::async_trait;
/// use factum::process_managers::{EventHandler, HandlerError};
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum OrderEvent { Placed { mail: String } }
/// # struct Smtp;
/// # impl Smtp { async fn send(&self, _: String, _: &str) -> Result<(), std::io::Error> { Ok(()) } }
///
/// struct Mails { smtp: Smtp }
///
/// #[async_trait]
/// impl EventHandler<OrderEvent> for Mails {
///     async fn handle(&self, event: &Recorded<OrderEvent>) -> Result<(), HandlerError> {
///         let OrderEvent::Placed { mail } = &event.event;
///         let id = event.record.id.to_string();
///         Ok(self.smtp.send(id, mail).await?)
///     }
/// }
/// ```
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{E}`",
    label = "`impl EventHandler<{E}> for {Self}` is missing",
    note = "write `#[async_trait] impl EventHandler<{E}> for {Self} {{ async fn handle(&self, event: &Recorded<{E}>) -> Result<(), HandlerError> {{ … }} }}`"
)]
pub trait EventHandler<E: Event>: Send + Sync + 'static {
    /// Has the effect of `event`.
    ///
    /// # Errors
    /// Any: it is tried again.
    async fn handle(&self, event: &Recorded<E>) -> Result<(), HandlerError>;
}

/// Why an effect could not be had.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Where something begins that is new to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// With the first event of the store.
    Beginning,
    /// Behind the newest event of the store, as it is when the program first starts.
    /// [`wait_until_registered`](super::ProcessManagers::wait_until_registered) waits until that is kept.
    End,
}

/// How a [`EventHandler`] is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerOptions {
    /// Where it begins when it is new. Default: at the head.
    pub begin: StartFrom,
    /// How many streams it is called for at a time, at least one. Default: 8.
    pub concurrency: usize,
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self {
            begin: StartFrom::End,
            concurrency: 8,
        }
    }
}

impl HandlerOptions {
    /// Begins with the first event of the store.
    #[must_use]
    pub fn from_beginning(mut self) -> Self {
        self.begin = StartFrom::Beginning;
        self
    }

    /// Is called for so many streams at a time.
    #[must_use]
    pub fn concurrency(mut self, streams: usize) -> Self {
        self.concurrency = streams;
        self
    }
}

/// The name that the projection of the handler `name` goes by.
pub fn model_name(name: &str) -> String {
    format!("handler:{name}")
}

/// A handler, as what takes events.
pub struct Effects<E, H> {
    pub name: String,
    pub handler: H,
    pub starts_after: Position,
    pub concurrency: usize,
    /// What was delivered and is not noted.
    delivered: Mutex<HashSet<Position>>,
    of: std::marker::PhantomData<fn() -> E>,
}

impl<E: Event, H: EventHandler<E>> Effects<E, H> {
    pub fn new(name: &str, handler: H, concurrency: usize, starts_after: Position) -> Self {
        Self {
            name: model_name(name),
            handler,
            starts_after,
            concurrency: concurrency.max(1),
            delivered: Mutex::default(),
            of: std::marker::PhantomData,
        }
    }

    /// Delivers what is new of one stream, in order.
    async fn deliver(&self, events: Vec<&RecordedEvent>) -> Result<(), EventError> {
        for event in events {
            let position = event.position;
            if self.lock().contains(&position) {
                continue;
            }
            let parts = catch_unwind(AssertUnwindSafe(|| event.decode_all::<E>()));
            let parts = parts.map_err(|panic| EventError::new(position, panic_message(&*panic)))?;
            let parts =
                parts.map_err(|error| EventError::new(position, ProjectionError::Decode(error)))?;
            for part in parts {
                let recorded = Recorded {
                    event: part,
                    record: event.clone(),
                };
                let handled = async {
                    let handled = self.handler.handle(&recorded).await;
                    handled.map_err(ProjectionError::Handler)
                };
                guarded(handled)
                    .await
                    .map_err(|error| EventError::new(position, error))?;
            }
            self.lock().insert(position);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Position>> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<E: Event, H: EventHandler<E>> ReadModel for Effects<E, H> {
    fn name(&self) -> &str {
        &self.name
    }

    /// Always the same: what was delivered is not delivered anew.
    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::event_types(E::names())
    }

    fn leaves_newer(&self) -> bool {
        true
    }

    fn starts_after(&self) -> Position {
        self.starts_after
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let mut streams: BTreeMap<&StreamId, Vec<&RecordedEvent>> = BTreeMap::new();
        for event in step.events {
            streams.entry(&event.stream).or_default().push(event);
        }
        let deliveries = streams.into_values().map(|events| self.deliver(events));
        let deliveries: Vec<_> = deliveries.collect();
        let deliveries = stream::iter(deliveries).buffer_unordered(self.concurrency);
        let failed: Vec<EventError> = deliveries
            .filter_map(async |delivered| delivered.err())
            .collect()
            .await;
        // The first, so that what is ahead of it is noted.
        if let Some(first) = failed.into_iter().min_by_key(|failed| failed.position) {
            return Err(first.into());
        }
        let events = step.events;
        let revision = step.change().await?;
        // These alone: of a retry between whose steps this one comes, nothing is noted yet.
        let mut delivered = self.lock();
        for event in events {
            delivered.remove(&event.position);
        }
        drop(delivered);
        Ok(revision)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;
    use factum_core::document::{Document, DocumentChanges, DocumentError, DocumentStore, Scan};
    use factum_engine::error::StoreError;
    use factum_testkit::stored;

    /// Keeps nothing.
    struct Nowhere;

    #[async_trait]
    impl DocumentStore for Nowhere {
        async fn change_documents(&self, _: DocumentChanges) -> Result<Revision, DocumentError> {
            Ok(Revision::new(1))
        }

        async fn find_documents(&self, _: &[String]) -> Result<Vec<Document>, StoreError> {
            Ok(Vec::new())
        }

        async fn scan_documents(&self, _: Scan) -> Result<Vec<Document>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[derive(factum::Event, serde::Serialize, serde::Deserialize)]
    #[event(prefix = "bell")]
    enum BellEvent {
        Rang,
    }

    const FAILS: u64 = 20;

    struct Tells(UnboundedSender<u64>);

    #[async_trait]
    impl EventHandler<BellEvent> for Tells {
        async fn handle(&self, event: &Recorded<BellEvent>) -> Result<(), HandlerError> {
            let position = event.record.position.get();
            if position == FAILS {
                return Err("it fails".into());
            }
            Ok(self.0.send(position)?)
        }
    }

    /// Each of a stream of its own.
    fn rang(positions: &[u64]) -> Vec<RecordedEvent> {
        let rang = positions.iter().map(|position| RecordedEvent {
            position: Position::new(*position),
            stream: StreamId::new("bell", position.to_string()).expect("a stream"),
            ..stored("bell.rang", 1, &serde_json::json!({}))
        });
        rang.collect()
    }

    #[tokio::test]
    async fn what_a_retry_has_delivered_is_not_forgotten_when_newer_events_are_taken_meanwhile() {
        let (tells, mut told) = unbounded_channel();
        let effects = Effects::new("bells", Tells(tells), 1, Position::ZERO);
        let take = async |positions: &[u64]| {
            let step = Step {
                build: 1,
                events: &rang(positions),
                obscure: None,
                changes: DocumentChanges::new(),
                documents: &Nowhere,
            };
            effects.project(step).await.is_ok()
        };
        assert!(!take(&[10, FAILS, 30]).await);
        assert!(take(&[1_000]).await);
        assert!(take(&[10]).await && take(&[30]).await);
        drop(effects);
        let mut all = Vec::new();
        told.recv_many(&mut all, 10).await;
        assert_eq!(all, [10, 30, 1_000]);
    }
}
