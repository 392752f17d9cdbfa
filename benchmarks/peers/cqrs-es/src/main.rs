//! Measures `cqrs-es` in memory and on PostgreSQL.

mod account;
mod bank;
mod memory;
mod postgres;

use bank::CqrsEsBank;
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};
use memory::{Memory, silenced};
use postgres::Postgres;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let line = match &args.database {
        Database::Memory => silenced(run(&args, CqrsEsBank::new(Memory::default()))).await?,
        Database::Postgres(url) => {
            run(&args, CqrsEsBank::new(Postgres::open(url, &args).await?)).await?
        }
        Database::Sqlite(_) => reject(
            CqrsEsBank::<Memory>::SIDE,
            &args,
            "only third-party crates support SQLite",
        ),
    };
    println!("{line}");
    Ok(())
}
