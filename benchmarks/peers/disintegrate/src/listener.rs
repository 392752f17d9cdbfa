use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use benchmark_harness::{
    anyhow::{Result, bail},
    tokio::{self, sync::Notify},
};
use disintegrate::{EventListener, PersistedEvent, StreamQuery, query};
use disintegrate_postgres::{PgEventId, PgEventListener, PgEventListenerConfig};

use crate::decision::{BankEvent, Store};

/// Counts the events of the store until their number is `events`.
pub async fn count(store: Store, events: usize) -> Result<usize> {
    let counter = Counter {
        query: query!(BankEvent),
        expected: events,
        seen: Arc::default(),
        done: Arc::default(),
    };
    let (seen, done) = (counter.seen.clone(), counter.done.clone());
    let config = PgEventListenerConfig::poller(Duration::from_millis(50)).with_notifier();
    let listener = PgEventListener::builder(store).register_listener(counter, config);
    tokio::select! {
        () = done.notified() => Ok(seen.load(Ordering::Relaxed)),
        ended = listener.start() => bail!("the listener ended: {ended:?}"),
    }
}

struct Counter {
    query: StreamQuery<PgEventId, BankEvent>,
    expected: usize,
    seen: Arc<AtomicUsize>,
    done: Arc<Notify>,
}

#[async_trait]
impl EventListener<PgEventId, BankEvent> for Counter {
    type Error = Infallible;

    fn id(&self) -> &'static str {
        "counter"
    }

    fn query(&self) -> &StreamQuery<PgEventId, BankEvent> {
        &self.query
    }

    async fn handle(&self, _: PersistedEvent<PgEventId, BankEvent>) -> Result<(), Infallible> {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.expected {
            self.done.notify_one();
        }
        Ok(())
    }
}
