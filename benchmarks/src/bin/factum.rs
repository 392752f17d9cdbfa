//! Measures factum with its aggregate cache.

use anyhow::Result;
use benchmark_harness::{Args, Parser, run};
use factum_benchmarks::bank::FactumBank;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    println!(
        "{}",
        run(&args, FactumBank::<true>::open(&args).await?).await?
    );
    Ok(())
}
