//! Commands per second on SQLite and PostgreSQL, beside raw batched inserts of the same rows with the same durability, in
//! one run: `cargo run --release --manifest-path benchmarks/Cargo.toml`.

mod bank;
mod raw;

use std::time::{Duration, Instant};

use anyhow::Result;
use factum::Engine;
use factum_postgres::PostgresOptions;
use factum_sqlite::SqliteStore;

use bank::Deposit;

const ROUND: Duration = Duration::from_secs(3);
const CALLERS: [usize; 4] = [1, 8, 32, 256];

#[tokio::main]
async fn main() -> Result<()> {
    println!("one event per command, each caller on an aggregate of its own, warm");
    println!("SQLite, synchronous=FULL on both sides");
    println!("{TITLE}");
    for callers in CALLERS {
        // Interleaved halves, so that a drift of the machine hits both sides.
        let first = raw::sqlite(callers, ROUND / 2).await?;
        let dir = tempfile::tempdir_in(".")?;
        let engine = Engine::new(SqliteStore::open(dir.path().join("bank.db")).await?);
        let ours = commands(engine, callers, ROUND).await?;
        let second = raw::sqlite(callers, ROUND / 2).await?;
        ours.tell(callers, (first + second) / 2.0);
    }
    let Ok(url) = std::env::var("FACTUM_TEST_POSTGRES") else {
        println!("PostgreSQL: not measured, FACTUM_TEST_POSTGRES names no server");
        return Ok(());
    };
    println!("PostgreSQL, the server's own settings on both sides");
    println!("{TITLE}");
    for callers in CALLERS {
        let first = raw::postgres(&url, callers, ROUND / 2).await?;
        let options = PostgresOptions::new(url.parse()?).schema(raw::schema());
        let ours = commands(Engine::new(options.open().await?), callers, ROUND).await?;
        let second = raw::postgres(&url, callers, ROUND / 2).await?;
        ours.tell(callers, (first + second) / 2.0);
    }
    Ok(())
}

const TITLE: &str =
    "callers | commands/s |    p50 |    p99 | raw rows/s in batches of that many | ratio";

impl Measured {
    fn tell(&self, callers: usize, raw: f64) {
        println!(
            "{callers:7} | {:10.0} | {:>6} | {:>6} | {raw:34.0} | {:4.0} %",
            self.per_second,
            micros(self.p50),
            micros(self.p99),
            self.per_second / raw * 100.0,
        );
    }
}

struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// `callers` tasks that execute command after command.
async fn commands(engine: Engine, callers: usize, round: Duration) -> Result<Measured> {
    for account in 0..callers as u64 {
        for _ in 0..10 {
            engine.execute(Deposit { account, amount: 1 }).await?;
        }
    }
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers as u64)
        .map(|account| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while start.elapsed() < round {
                    let began = Instant::now();
                    engine
                        .execute(Deposit { account, amount: 1 })
                        .by("alice")
                        .await?;
                    taken.push(began.elapsed());
                }
                anyhow::Ok(taken)
            })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await??);
    }
    let elapsed = start.elapsed();
    taken.sort_unstable();
    Ok(Measured {
        per_second: taken.len() as f64 / elapsed.as_secs_f64(),
        p50: taken[taken.len() / 2],
        p99: taken[taken.len() * 99 / 100],
    })
}

fn micros(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros => format!("{} ms", micros / 1_000),
    }
}
