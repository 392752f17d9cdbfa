//! The time from the answer to an append until a subscriber has the event, at a constant rate.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::report::Measured;
use crate::server::Server;

/// The number of appends and of their events: 5,000 events per second.
const APPENDS_PER_SECOND: u64 = 500;
const EVENTS: usize = 10;
/// The number of connections of the writer.
const CONNECTIONS: usize = 8;

pub async fn measure(server: &Server, duration: Duration) -> Result<Measured> {
    let appends = APPENDS_PER_SECOND * duration.as_secs();
    let last = appends * EVENTS as u64;
    let mut reader = server.connect().await?;
    let mut subscription = reader.subscribe(0).await?;
    let received = tokio::spawn(async move {
        let mut times = Vec::with_capacity(last as usize);
        while times.len() < last as usize {
            let received = subscription
                .next()
                .await
                .context("the subscription ended")??;
            let now = Instant::now();
            if let Some(received) = received {
                times.extend((received.first..=received.last).map(|_| now));
            }
        }
        anyhow::Ok(times)
    });
    let mut writers = Vec::new();
    for _ in 0..CONNECTIONS {
        writers.push(server.connect().await?);
    }
    let mut ticks = interval(Duration::from_secs(1) / APPENDS_PER_SECOND as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut tasks = Vec::new();
    let started = Instant::now();
    for number in 0..appends as usize {
        ticks.tick().await;
        let mut client = writers[number % CONNECTIONS].clone();
        tasks.push(tokio::spawn(async move {
            let position = client.append(number % 64, EVENTS).await?;
            anyhow::Ok((position, Instant::now()))
        }));
    }
    let mut answered = Vec::new();
    for task in tasks {
        answered.push(task.await??);
    }
    let elapsed = started.elapsed();
    let received = received.await??;
    let latencies = answered.iter().flat_map(|(position, time)| {
        let events = position - EVENTS as u64..*position;
        // An event may arrive before the answer to its append.
        events.map(|index| received[index as usize].saturating_duration_since(*time))
    });
    Ok(Measured::of(latencies.collect(), elapsed))
}
