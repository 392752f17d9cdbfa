//! Runs concurrent clients on stores, and checks that every history is linearizable.
//!
//! Stops at the first history that is not linearizable, and describes the anomaly.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use factum_tests::history::{Plan, run};
use factum_tests::stores::{StoreKind, Stores};

/// Checks that the histories of concurrent clients of a store are linearizable
#[derive(Debug, Parser)]
struct Arguments {
    /// Kind of store; PostgreSQL uses the server of FACTUM_TEST_POSTGRES, or starts a temporary one
    #[arg(long, value_enum, default_value = "sqlite")]
    store: StoreKind,
    /// Duration of the check in seconds; at least one run completes
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seed of the first run, incremented for each further run; defaults to the current time
    #[arg(long)]
    seed: Option<u64>,
    /// Number of concurrent clients
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Number of calls of each client in one run
    #[arg(long, default_value_t = 250)]
    turns: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments {
        store,
        seconds,
        seed,
        clients,
        turns,
    } = Arguments::parse();
    let mut seed = match seed {
        Some(seed) => seed,
        None => std::time::UNIX_EPOCH.elapsed()?.as_secs(),
    };
    let mut stores = Stores::new(store)?.context("no database server of this kind")?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut runs, mut calls, mut events) = (0_u64, 0, 0);
    let mut out = std::io::stdout();
    writeln!(out, "first seed: {seed}")?;
    while runs == 0 || Instant::now() < end {
        let handles = stores.fresh().await?;
        let history = run(
            Plan {
                seed,
                clients,
                turns,
            },
            &handles,
        )
        .await;
        let history = history.with_context(|| format!("seed {seed}"))?;
        if let Err(anomaly) = history.check() {
            bail!("seed {seed}: {}", history.describe(&anomaly));
        }
        runs += 1;
        calls += history.calls.len();
        events += history.log.len();
        if runs.is_power_of_two() {
            writeln!(out, "seed {seed}: {:?}", history.tally())?;
        }
        seed += 1;
    }
    writeln!(
        out,
        "checked {runs} histories with {calls} calls and {events} events: all are linearizable"
    )?;
    Ok(())
}
