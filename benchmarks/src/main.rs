//! Measures factum, its peers and the drivers alone in one run.
//!
//! Run it with `cargo run --release --manifest-path benchmarks/Cargo.toml`.

mod goals;
mod machine;
mod plan;
mod run;
mod server;
mod sides;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use run::Runner;

/// Builds all measured programs and runs each scenario on each of them, one after the other.
#[derive(Parser)]
pub struct Options {
    /// Measuring time per measurement in seconds, without the preparation.
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    /// Scenarios to measure, separated by commas; all by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,

    /// Databases to measure, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "memory,sqlite,postgres")]
    databases: Vec<String>,

    /// File for all measurements, as one JSON object per line.
    #[arg(long)]
    json: Option<PathBuf>,

    /// Measures factum and the drivers only, without the peers.
    #[arg(long)]
    alone: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let sides = sides::build(options.alone)?;
    let mut runner = Runner::start(&options).await?;
    println!("{}", machine::describe(runner.postgres_version()));
    for table in plan::tables() {
        if !options.databases.iter().any(|name| name == table.database)
            || !(options.only.is_empty() || options.only.iter().any(|name| name == table.scenario))
        {
            continue;
        }
        runner.measure(&table, &sides).await?;
        println!("{}", table::render(&table, runner.measured()));
    }
    println!("{}", goals::render(runner.measured()));
    Ok(())
}
