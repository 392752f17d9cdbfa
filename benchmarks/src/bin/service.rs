//! How long the Spec Service takes to answer `GET /v1/specs/{id}` while writes go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

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
        ids.push(created["id"].as_str().context("an id")?.to_owned());
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
            told(reads),
            told(writes)
        );
    }
    Ok(())
}

type Shared = Arc<(String, reqwest::Client, Vec<String>)>;

async fn read(shared: Shared, index: usize, start: Instant) -> Result<Vec<Duration>> {
    let (rest, client, ids) = &*shared;
    let mut taken = Vec::new();
    for number in index.. {
        if start.elapsed() >= ROUND {
            break;
        }
        let began = Instant::now();
        let answer = client
            .get(format!("{rest}/v1/specs/{}", ids[number % SPECS]))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await?;
        taken.push(began.elapsed());
    }
    Ok(taken)
}

async fn write(shared: Shared, index: usize, start: Instant) -> Result<Vec<Duration>> {
    let (rest, client, ids) = &*shared;
    let mut taken = Vec::new();
    for number in 0.. {
        if start.elapsed() >= ROUND {
            break;
        }
        let body = json!({"content": format!("limit: {number}\n")});
        let began = Instant::now();
        let answer = client
            .put(format!("{rest}/v1/specs/{}", ids[index % SPECS]))
            .json(&body)
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        answer.bytes().await?;
        taken.push(began.elapsed());
    }
    Ok(taken)
}

fn told(mut taken: Vec<Duration>) -> String {
    if taken.is_empty() {
        return format!("{:>5} | {:>6} | {:>6}", "-", "-", "-");
    }
    taken.sort_unstable();
    let per_second = taken.len() as f64 / ROUND.as_secs_f64();
    let at = |percent: usize| {
        format!(
            "{:.1} ms",
            taken[taken.len() * percent / 100].as_secs_f64() * 1e3
        )
    };
    format!("{per_second:5.0} | {:>6} | {:>6}", at(50), at(99))
}
