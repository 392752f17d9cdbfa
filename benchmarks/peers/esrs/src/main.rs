//! Measures `esrs` on PostgreSQL.

mod account;
mod bank;

use bank::EsrsBank;
use benchmark_harness::{Args, Bank, Database, Parser, anyhow::Result, reject, run, tokio};

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let line = match &args.database {
        Database::Postgres(url) => run(&args, EsrsBank::open(url).await?).await?,
        _ => reject(EsrsBank::SIDE, &args, "it only supports PostgreSQL"),
    };
    println!("{line}");
    Ok(())
}
