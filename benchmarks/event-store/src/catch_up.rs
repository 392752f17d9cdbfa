//! Catch-up: a subscription from the beginning of a log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;

use crate::client::Client;
use crate::report::CatchUp;
use crate::server::{Server, cpu_time};

/// The number of events in one append that fills the log.
const BATCH: usize = 1_000;

/// A server with a full log, and the catch-ups from it.
pub struct Reader {
    server: Server,
    client: Client,
    head: u64,
    rounds: u32,
    first: Option<Duration>,
    fastest: Option<Duration>,
    server_time: Duration,
    client_time: Duration,
}

impl Reader {
    /// Fills the log of `server`.
    pub async fn fill(server: Server, events: u64) -> Result<Self> {
        let mut client = server.connect().await?;
        let mut head = 0;
        while head < events {
            head = client.append(head as usize / BATCH, BATCH).await?;
        }
        Ok(Self {
            server,
            client,
            head,
            rounds: 0,
            first: None,
            fastest: None,
            server_time: Duration::ZERO,
            client_time: Duration::ZERO,
        })
    }

    /// Reads the log once.
    pub async fn catch_up(&mut self) -> Result<()> {
        let (server, client) = (self.server.cpu_time()?, cpu_time("self")?);
        let started = Instant::now();
        let mut subscription = self.client.subscribe(0).await?;
        let mut position = 0;
        while position < self.head {
            let received = subscription
                .next()
                .await
                .context("the subscription ended")??;
            position = received.map_or(position, |received| received.last);
        }
        let elapsed = started.elapsed();
        self.first = self.first.or(Some(elapsed));
        self.fastest = Some(self.fastest.map_or(elapsed, |fastest| elapsed.min(fastest)));
        self.server_time += self.server.cpu_time()? - server;
        self.client_time += cpu_time("self")? - client;
        self.rounds += 1;
        Ok(())
    }

    /// Returns the first and the fastest round, and the processor time of all rounds.
    pub fn result(&self) -> Result<CatchUp> {
        let rate = |elapsed: Option<Duration>| {
            let elapsed = elapsed.context("there are rounds")?;
            anyhow::Ok(self.head as f64 / elapsed.as_secs_f64())
        };
        let events = self.head as f64 * f64::from(self.rounds);
        Ok(CatchUp {
            first: rate(self.first)?,
            per_second: rate(self.fastest)?,
            server_time: self.server_time.div_f64(events),
            client_time: self.client_time.div_f64(events),
        })
    }
}
