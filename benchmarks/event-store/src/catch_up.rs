//! Catch-up: a subscription from the beginning of a log.

use std::time::Instant;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;

use crate::report::Measured;
use crate::server::Server;

/// The number of events in one append that fills the log.
const BATCH: usize = 1_000;
/// The number of catch-ups, of which the fastest counts.
const ROUNDS: usize = 3;

pub async fn measure(server: &Server, events: u64) -> Result<Measured> {
    let mut client = server.connect().await?;
    let mut head = 0;
    while head < events {
        head = client.append(head as usize / BATCH, BATCH).await?;
    }
    let mut fastest = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let mut subscription = client.subscribe(0).await?;
        let mut position = 0;
        while position < head {
            let received = subscription
                .next()
                .await
                .context("the subscription ended")??;
            position = received.map_or(position, |received| received.last);
        }
        let elapsed = started.elapsed();
        fastest = fastest.map_or(Some(elapsed), |fastest| Some(elapsed.min(fastest)));
    }
    let fastest = fastest.context("there are rounds")?;
    Ok(Measured::total(head, fastest))
}
