use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use benchmark_harness::{
    anyhow::{Result, bail},
    tokio::{self, sync::Notify},
};
use evento::{
    Executor,
    metadata::Event,
    subscription::{Context, SubscriptionBuilder},
};

use crate::account::Deposited;

#[derive(Default)]
struct Counter {
    expected: usize,
    seen: AtomicUsize,
    done: Notify,
}

#[evento::subscription]
async fn counted<E: Executor>(context: &Context<'_, E>, _: Event<Deposited>) -> anyhow::Result<()> {
    let counter = context.extract::<Arc<Counter>>();
    if counter.seen.fetch_add(1, Ordering::Relaxed) + 1 == counter.expected {
        counter.done.notify_one();
    }
    Ok(())
}

/// Counts the events of the store until their number is `events`.
///
/// The cursor and the count are kept in memory.
pub async fn count<E: Executor + Clone + 'static>(executor: &E, events: usize) -> Result<usize> {
    let counter = Arc::new(Counter {
        expected: events,
        ..Counter::default()
    });
    let subscription = SubscriptionBuilder::new("counter")
        .handler(counted())
        .data(counter.clone())
        .chunk_size(1000)
        .ephemeral()
        .start(executor)
        .await?;
    tokio::select! {
        () = counter.done.notified() => Ok(counter.seen.load(Ordering::Relaxed)),
        reason = subscription.stopped() => bail!("the subscription stopped: {reason:?}"),
    }
}
