//! Factum beside its peers and beside the raw limit of the backend, in one run:
//! `cargo run --release --manifest-path benchmarks/Cargo.toml`.

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

/// Builds every side and measures each scenario on each of them, one after the other.
#[derive(Parser)]
pub struct Options {
    /// How long each measurement takes, after its preparation.
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    /// Only these scenarios.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,

    /// Only these databases.
    #[arg(long, value_delimiter = ',', default_value = "memory,sqlite,postgres")]
    databases: Vec<String>,

    /// Where every measurement goes, a JSON object in each line.
    #[arg(long)]
    json: Option<PathBuf>,

    /// Without the peers.
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
