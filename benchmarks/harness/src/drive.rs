//! The closed loop: callers that issue commands one after the other.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    sync::Barrier,
    task::{JoinSet, coop},
};

/// The result of a measurement.
#[derive(Debug, Default)]
pub struct Measured {
    /// The number of commands that were acknowledged within the measuring time.
    pub count: usize,
    /// The latency of every acknowledged command.
    pub latencies: Vec<Duration>,
}

impl Measured {
    /// Returns the latency in microseconds that a `share` of all commands did not exceed.
    pub fn percentile(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let rank = (last as f64 * share).round() as usize;
        self.latencies
            .get(rank)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// Runs `callers` tasks, each of which issues its next command when the last one is acknowledged.
///
/// `command` receives the number of the caller and of the turn. Turn 0 opens connections and prepares
/// statements, and is not measured. Commands that are still running at the end are awaited: their
/// latencies count, but they do not add to [`Measured::count`].
pub async fn drive<F, C>(callers: usize, duration: Duration, command: F) -> Result<Measured>
where
    F: Fn(u64, u64) -> C + Send + Sync + 'static,
    C: Future<Output = Result<()>> + Send,
{
    let command = Arc::new(command);
    let start = Arc::new((Barrier::new(callers), OnceLock::new()));
    let mut tasks = JoinSet::new();
    for caller in 0..callers as u64 {
        let (command, start) = (command.clone(), start.clone());
        tasks.spawn(async move {
            let warm_up = command(caller, 0).await;
            let (barrier, begin) = &*start;
            barrier.wait().await;
            warm_up?;
            let deadline = *begin.get_or_init(Instant::now) + duration;
            issue(deadline, |turn| command(caller, turn)).await
        });
    }
    let mut all = Measured::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        all.count += one.count;
        all.latencies.extend(one.latencies);
    }
    Ok(all)
}

async fn issue<C>(deadline: Instant, command: impl Fn(u64) -> C) -> Result<Measured>
where
    C: Future<Output = Result<()>>,
{
    let mut measured = Measured::default();
    for turn in 1.. {
        let begin = Instant::now();
        if begin >= deadline {
            break;
        }
        command(turn).await?;
        let end = Instant::now();
        measured.latencies.push(end - begin);
        measured.count += usize::from(end <= deadline);
        // An in-memory store never yields, so yield here to let other callers run.
        coop::consume_budget().await;
    }
    Ok(measured)
}
