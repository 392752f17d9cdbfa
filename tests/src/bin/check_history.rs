//! Lets concurrent clients loose on a store, again and again, and checks that an order of their calls
//! explains what each was told. Ends with the first history that has none, and shows why.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use factum_tests::history::{Plan, run};
use factum_tests::stores::{StoreKind, Stores};

/// Checks histories of concurrent clients on a store.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which store; PostgreSQL is the server that FACTUM_TEST_POSTGRES names, or one of its own.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: StoreKind,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The seed of the first run; each run that follows has the next. Without it: the time.
    #[arg(long)]
    seed: Option<u64>,
    /// How many ask at the same time.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How often each of them asks in one run.
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
    let mut stores = Stores::new(store)?.context("there is no such server")?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut runs, mut calls, mut events) = (0_u64, 0, 0);
    let mut out = std::io::stdout();
    writeln!(out, "seeds from {seed}")?;
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
        if let Err(fault) = history.check() {
            bail!("seed {seed}: {}", history.describe(&fault));
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
        "{runs} histories of {calls} calls and {events} events, each explained by an order"
    )?;
    Ok(())
}
