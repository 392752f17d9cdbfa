//! Measures `GET /v1/specs/{id}` of a running Spec Service under concurrent writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// The measuring time of each round.
const ROUND: Duration = Duration::from_secs(5);
const SPECS: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let rest = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    let client = reqwest::Client::new();
    let run = uuid::Uuid::now_v7().simple();
    let mut ids = Vec::new();
    for number in 0..SPECS {
        let body = json!({"name": format!("bench.{run}.{number}"), "content": "limit: 250\n"});
        let created = client
            .post(format!("{rest}/v1/specs"))
            .json(&body)
            .send()
            .await?;
        let created: Value = created.json().await?;
        ids.push(
            created["id"]
                .as_str()
                .context("the response has no id")?
                .to_owned(),
        );
    }
    let shared = Arc::new((rest, client, ids));
    println!("readers | writers | GET/s |    p50 |    p99 | PUT/s |    p50 |    p99");
    for (readers, writers) in [(1, 0), (1, 8), (8, 8), (16, 32)] {
        let start = Instant::now();
        let reading: Vec<_> = (0..readers)
            .map(|index| tokio::spawn(read(shared.clone(), index, start)))
            .collect();
        let writing: Vec<_> = (0..writers)
            .map(|index| tokio::spawn(write(shared.clone(), index, start)))
            .collect();
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for task in reading {
            reads.extend(task.await??);
        }
        for task in writing {
            writes.extend(task.await??);
        }
        println!(
            "{readers:7} | {writers:7} | {} | {}",
            summary(reads),
            summary(writes)
        );
    }
    Ok(())
}

type Shared = Arc<(String, reqwest::Client, Vec<String>)>;

async fn read(shared: Shared, index: usize, start: Instant) -> Result<Vec<Duration>> {
    let (rest, client, ids) = &*shared;
    let mut latencies = Vec::new();
    for number in index.. {
        if start.elapsed() >= ROUND {
            break;
        }
        let began = Instant::now();
        let response = client
            .get(format!("{rest}/v1/specs/{}", ids[number % SPECS]))
            .send()
            .await?;
        ensure!(response.status().is_success(), "{}", response.status());
        response.bytes().await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn write(shared: Shared, index: usize, start: Instant) -> Result<Vec<Duration>> {
    let (rest, client, ids) = &*shared;
    let mut latencies = Vec::new();
    for number in 0.. {
        if start.elapsed() >= ROUND {
            break;
        }
        let body = json!({"content": format!("limit: {number}\n")});
        let began = Instant::now();
        let response = client
            .put(format!("{rest}/v1/specs/{}", ids[index % SPECS]))
            .json(&body)
            .send()
            .await?;
        ensure!(response.status().is_success(), "{}", response.status());
        response.bytes().await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Returns the rate, the median and the 99th percentile.
fn summary(mut latencies: Vec<Duration>) -> String {
    if latencies.is_empty() {
        return format!("{:>5} | {:>6} | {:>6}", "-", "-", "-");
    }
    latencies.sort_unstable();
    let per_second = latencies.len() as f64 / ROUND.as_secs_f64();
    let at = |percent: usize| {
        format!(
            "{:.1} ms",
            latencies[latencies.len() * percent / 100].as_secs_f64() * 1e3
        )
    };
    format!("{per_second:5.0} | {:>6} | {:>6}", at(50), at(99))
}
