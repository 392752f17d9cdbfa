//! Measures the event store server beside UmaDB's server, on the same disk and in one run.

mod append;
mod catch_up;
mod client;
mod delivery;
mod goals;
mod report;
mod server;
mod subscribers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::catch_up::Reader;
use crate::report::{Measurement, Report};
use crate::server::{Programs, Side};

#[derive(Debug, Parser)]
#[command(about = "Measures the event store server beside UmaDB's server")]
struct Options {
    /// Duration of each measurement in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Scenarios to run: append, stream, catch_up, subscribers, delivery.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Number of events in the log of the catch-up.
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// Number of catch-ups from each log, of which the fastest counts; the servers take turns.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Number of live subscribers.
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// The program of the event store server; built by default.
    #[arg(long)]
    event_store: Option<PathBuf>,
    /// UmaDB's program; installed from PyPI by default.
    #[arg(long)]
    umadb: Option<PathBuf>,
}

/// The numbers of clients of the scenario `append`.
const CLIENTS: [usize; 3] = [1, 8, 64];

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let programs = Programs::find(options.event_store.clone(), options.umadb.clone())?;
    let mut report = Report::default();
    println!("{}", report::machine());
    let runs =
        |scenario: &str| options.only.is_empty() || options.only.iter().any(|it| it == scenario);
    let duration = Duration::from_secs(options.seconds);
    if runs("append") {
        for clients in CLIENTS {
            for side in Side::ALL {
                let server = programs.start(side).await?;
                let measured = append::unary(&server, clients, duration).await?;
                report.add(Measurement::rate("append", side, clients, measured));
            }
        }
    }
    if runs("stream") {
        let server = programs.start(Side::Native).await?;
        let measured = append::stream(&server, duration).await?;
        report.add(Measurement::rate("stream", Side::Native, 1, measured));
    }
    if runs("catch_up") {
        let mut readers = Vec::new();
        for side in Side::ALL {
            let server = programs.start(side).await?;
            readers.push((side, Reader::fill(server, options.events).await?));
        }
        for _ in 0..options.rounds {
            for (_, reader) in &mut readers {
                reader.catch_up().await?;
            }
        }
        for (side, reader) in readers {
            report.add(Measurement::catch_up(side, reader.result()?));
        }
    }
    if runs("subscribers") {
        for side in Side::ALL {
            let server = programs.start(side).await?;
            let measured = subscribers::measure(&server, options.subscribers).await?;
            report.add(Measurement::memory(side, options.subscribers, measured));
        }
    }
    if runs("delivery") {
        for side in Side::ALL {
            let server = programs.start(side).await?;
            let measured = delivery::measure(&server, duration).await?;
            report.add(Measurement::latency(side, measured));
        }
    }
    println!("{}", report.tables());
    println!("{}", goals::render(&report));
    Ok(())
}
