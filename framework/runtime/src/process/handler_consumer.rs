//! [`HandlerConsumer`]: delivers events to an event handler.

use std::collections::{BTreeMap, HashSet};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use factum_core::document::Revision;
use factum_core::position::Position;
use factum_core::query::Query;
use factum_core::stream_id::StreamId;
use factum_engine::error::panic_message;
use factum_engine::event::Event;
use factum_engine::event_set::EventSet as _;
use factum_engine::record::{DecodeEvent as _, Recorded, RecordedEvent};
use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::event_handler::{BoxedHandler, EventHandler};
use crate::consumer::{Batch, BatchError, Consumer, EventError, NewerEvents};

/// Returns the name of the consumer of the event handler `name`.
#[must_use]
pub fn handler_consumer_name(name: &str) -> String {
    format!("handler:{name}")
}

/// Delivers events to an event handler.
pub struct HandlerConsumer<E> {
    name: String,
    handler: Box<dyn BoxedHandler<E>>,
    starts_after: Position,
    concurrency: usize,
    /// The events that were delivered, but whose checkpoint was not stored.
    delivered: Mutex<HashSet<Position>>,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> HandlerConsumer<E> {
    /// Creates the consumer of a handler.
    pub fn new(
        name: &str,
        handler: impl EventHandler<E>,
        concurrency: usize,
        starts_after: Position,
    ) -> Self {
        Self {
            name: handler_consumer_name(name),
            handler: Box::new(handler),
            starts_after,
            concurrency: concurrency.max(1),
            delivered: Mutex::default(),
            event: PhantomData,
        }
    }

    /// Delivers the events of one stream, in order.
    async fn deliver(&self, events: Vec<&RecordedEvent>) -> Result<(), EventError> {
        for event in events {
            if !self.delivered().contains(&event.position) {
                self.deliver_event(event).await?;
                self.delivered().insert(event.position);
            }
        }
        Ok(())
    }

    async fn deliver_event(&self, record: &RecordedEvent) -> Result<(), EventError> {
        let position = record.position;
        let panicked = |panic: Box<dyn std::any::Any + Send>| {
            EventError::handler(position, panic_message(&*panic))
        };
        let decoded = catch_unwind(AssertUnwindSafe(|| record.decode_all::<E>()));
        let events = decoded.map_err(panicked)?;
        for event in events.map_err(|error| EventError::new(position, error))? {
            let record = record.clone();
            let event = Recorded { event, record };
            let handled = AssertUnwindSafe(self.handler.handle(&event)).catch_unwind();
            let handled = handled.await.map_err(panicked)?;
            handled.map_err(|error| EventError::handler(position, error))?;
        }
        Ok(())
    }

    fn delivered(&self) -> MutexGuard<'_, HashSet<Position>> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Event> Consumer for HandlerConsumer<E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn query(&self) -> Query {
        Query::event_types(E::names())
    }

    fn starts_after(&self) -> Position {
        self.starts_after
    }

    fn newer_events(&self) -> NewerEvents {
        NewerEvents::Wait
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let mut streams: BTreeMap<&StreamId, Vec<&RecordedEvent>> = BTreeMap::new();
        for event in batch.events {
            streams.entry(&event.stream).or_default().push(event);
        }
        let deliveries = streams.into_values().map(|events| self.deliver(events));
        let deliveries: Vec<_> = deliveries.collect();
        let deliveries = stream::iter(deliveries).buffer_unordered(self.concurrency);
        let failed: Vec<EventError> = deliveries
            .filter_map(async |delivered| delivered.err())
            .collect()
            .await;
        // The first one, so that the checkpoint can move up to it.
        if let Some(first) = failed.into_iter().min_by_key(|failed| failed.position) {
            return Err(first.into());
        }
        let events = batch.events;
        let revision = batch.commit().await?;
        // Only these: the checkpoint of a retry that runs between two batches is not stored yet.
        let mut delivered = self.delivered();
        for event in events {
            delivered.remove(&event.position);
        }
        drop(delivered);
        Ok(revision)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;
    use crate::process::event_handler::HandlerError;
    use factum_core::document::{Document, DocumentChanges, DocumentError, DocumentStore, Scan};
    use factum_engine::error::StoreError;
    use factum_testkit::stored;

    /// A store that accepts every change.
    struct AcceptAll;

    #[async_trait]
    impl DocumentStore for AcceptAll {
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

    struct SendsPositions(UnboundedSender<u64>);

    impl EventHandler<BellEvent> for SendsPositions {
        async fn handle(&self, event: &Recorded<BellEvent>) -> Result<(), HandlerError> {
            let position = event.record.position.get();
            if position == FAILS {
                return Err("failed".into());
            }
            Ok(self.0.send(position)?)
        }
    }

    /// Events of one stream each.
    fn rang(positions: &[u64]) -> Vec<RecordedEvent> {
        let rang = positions.iter().map(|position| RecordedEvent {
            position: Position::new(*position),
            stream: StreamId::new("bell", position.to_string()).expect("a stream"),
            ..stored("bell.rang", 1, &serde_json::json!({}))
        });
        rang.collect()
    }

    #[tokio::test]
    async fn handler_does_not_repeat_event_between_batches_of_retry() {
        let (sender, mut receiver) = unbounded_channel();
        let consumer =
            HandlerConsumer::<BellEvent>::new("bells", SendsPositions(sender), 1, Position::ZERO);
        let handle = async |positions: &[u64]| {
            let batch = Batch {
                build: 1,
                events: &rang(positions),
                unknown_dead_letter: None,
                changes: DocumentChanges::new(),
                documents: &AcceptAll,
            };
            consumer.handle(batch).await.is_ok()
        };
        assert!(!handle(&[10, FAILS, 30]).await);
        assert!(handle(&[1_000]).await);
        assert!(handle(&[10]).await && handle(&[30]).await);
        drop(consumer);
        let mut all = Vec::new();
        receiver.recv_many(&mut all, 10).await;
        assert_eq!(all, [10, 30, 1_000]);
    }
}
