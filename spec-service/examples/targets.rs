//! Measures the targets of the service: latencies under writes, the start, and the memory.
//!
//! ```sh
//! cargo build --release -p spec-service --example targets --bin spec-service
//! target/release/examples/targets --database-url sqlite:/tmp/targets.db --specs 100000 --events 1000000
//! ```
//!
//! The program fills an empty database through the API, restarts the server, and measures. It can be run again on the
//! same database. The results need an otherwise idle machine; the last lines show how busy it was.

#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The number of changes of a bulk request.
const BULK: usize = 500;

/// Measures the targets of the service.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// URL of the database, which must be empty or filled by this program.
    #[arg(long, default_value = "sqlite:targets.db")]
    database_url: String,

    /// Number of specifications.
    #[arg(long, default_value_t = 100_000)]
    specs: usize,

    /// Number of events; each specification has the same number of changes.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,

    /// Duration of the measurement in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,

    /// Number of writes per second during the measurement.
    #[arg(long, default_value_t = 100)]
    writes: u64,
}

/// The server as a child process, which is killed with this value.
struct Server {
    child: Child,
    rest: String,
    started: Duration,
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts the server, and waits until it is ready.
    async fn start(options: &Options) -> Result<Self> {
        let program = std::env::current_exe()?;
        let folder = program.parent().and_then(|folder| folder.parent());
        let program = folder
            .context("the program has no folder")?
            .join("spec-service");
        let started = Instant::now();
        let mut child = Command::new(&program)
            .env("DATABASE_URL", &options.database_url)
            .env("REST_ADDR", "127.0.0.1:0")
            .env("GRPC_ADDR", "127.0.0.1:0")
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started; build it first", program.display()))?;
        let output = child.stdout.take().context("the server has no output")?;
        // The server fails if nobody can read what it prints.
        let mut output = BufReader::new(output).lines();
        let line = output.next().context("the server has stopped")??;
        let rest = line
            .strip_prefix("REST API on ")
            .context("unexpected output")?
            .to_owned();
        let client = Client::new();
        loop {
            let ready = client.get(format!("{rest}/readyz")).send().await;
            if ready.is_ok_and(|response| response.status().is_success()) {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let started = started.elapsed();
        Ok(Self {
            child,
            rest,
            started,
            _output: output,
        })
    }

    /// Returns a value of `/proc/PID/status` in MiB.
    fn memory(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("no such value")?;
        Ok(kib.parse::<u64>()? / 1024)
    }

    /// Returns the processor time of the server so far, in seconds.
    fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("unexpected format")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(ticks as f64 / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

/// A generator of random numbers, which gives the same contents in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// Returns a word. Like in a language, few words are frequent and most are rare.
    fn word(&mut self) -> String {
        const FREQUENT: [&str; 10] = [
            "limit", "refund", "per", "day", "route", "payment", "region", "owner", "rule",
            "amount",
        ];
        match self.next(10) {
            0..4 => FREQUENT[self.next(FREQUENT.len())].to_owned(),
            4..8 => format!("term{}", self.next(300)),
            _ => format!("rare{}", self.next(20_000)),
        }
    }

    /// Returns a content of about 1 KiB.
    fn content(&mut self, change: usize) -> String {
        let mut content = format!("change: {change}\nrules:\n");
        while content.len() < 1_000 {
            let (key, first, second) = (self.word(), self.word(), self.word());
            content.push_str(&format!(
                "  - {key}: {first} {second} {}\n",
                self.next(1_000)
            ));
        }
        content
    }
}

/// Returns the ids of the specifications, and fills the database if it is empty.
async fn fill(server: &Server, options: &Options) -> Result<Vec<String>> {
    let client = Client::new();
    let list = client.get(format!("{}/v1/specs?limit=1", server.rest));
    let list: Value = list.send().await?.json().await?;
    let existing = list["total"].as_u64().unwrap_or_default() as usize;
    if existing > 0 {
        return all_ids(server, existing).await;
    }
    let started = Instant::now();
    let batches = (0..options.specs.div_ceil(BULK)).map(|batch| {
        let mut random = Random(batch as u64 + 1);
        let numbers = batch * BULK..((batch + 1) * BULK).min(options.specs);
        let changes = numbers.map(|number| {
            json!({
                "action": "create",
                "name": format!("{}-{}-{number}", random.word(), random.word()),
                "description": format!("{} {} {}", random.word(), random.word(), random.word()),
                "content": random.content(1),
            })
        });
        json!({ "changes": changes.collect::<Vec<_>>() })
    });
    let created = stream::iter(batches)
        .map(|body| bulk(&client, server, body))
        .buffered(4);
    let ids: Vec<String> = created.try_concat().await?;
    println!(
        "{} specifications created in {:.0?}",
        ids.len(),
        started.elapsed()
    );
    let changes = options.events / options.specs.max(1);
    for change in 2..=changes {
        let batches = ids.chunks(BULK).map(|ids| {
            let mut random = Random((change * 1_000_003) as u64);
            let changes = ids.iter().map(|id| match change % 2 {
                0 => json!({ "action": "update", "id": id, "content": random.content(change) }),
                _ => json!({ "action": "publish", "id": id }),
            });
            json!({ "changes": changes.collect::<Vec<_>>() })
        });
        let changed = stream::iter(batches)
            .map(|body| bulk(&client, server, body))
            .buffered(4);
        changed.try_for_each(|_| async { Ok(()) }).await?;
        println!(
            "{} events stored in {:.0?}",
            change * ids.len(),
            started.elapsed()
        );
    }
    Ok(ids)
}

async fn bulk(client: &Client, server: &Server, body: Value) -> Result<Vec<String>> {
    let response = client
        .post(format!("{}/v1/bulk", server.rest))
        .json(&body)
        .send()
        .await?;
    let (status, report): (_, Value) = (response.status(), response.json().await?);
    if !status.is_success() {
        bail!("the server refused a bulk request: {report}");
    }
    let items = report["items"].as_array().context("a report has items")?;
    let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(id).collect())
}

async fn all_ids(server: &Server, count: usize) -> Result<Vec<String>> {
    let client = Client::new();
    let (mut ids, mut cursor) = (Vec::with_capacity(count), String::new());
    loop {
        let url = format!("{}/v1/specs?limit=100&cursor={cursor}", server.rest);
        let page: Value = client.get(url).send().await?.json().await?;
        let specs = page["specs"]
            .as_array()
            .context("a page has specifications")?;
        ids.extend(
            specs
                .iter()
                .filter_map(|spec| Some(spec["id"].as_str()?.to_owned())),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return Ok(ids),
        }
    }
}

/// The latencies of one kind of request.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// Sends requests one after the other until `end`, with a pause after each.
async fn read(
    rest: String,
    end: Instant,
    pause: Duration,
    mut path: impl FnMut(&mut Random) -> String,
) -> Result<Latencies> {
    let client = Client::new();
    let (mut random, mut latencies) = (Random(7), Latencies::default());
    while Instant::now() < end {
        let url = format!("{rest}{}", path(&mut random));
        let started = Instant::now();
        let response = client.get(&url).send().await?;
        if !response.status().is_success() {
            bail!("{url}: {}", response.text().await?);
        }
        response.bytes().await?;
        latencies.0.push(started.elapsed());
        sleep(pause).await;
    }
    latencies.0.sort_unstable();
    Ok(latencies)
}

/// Returns the path of a search of one of several kinds.
fn search(random: &mut Random) -> String {
    let query = match random.next(10) {
        0 => "limit".to_owned(),
        1 => "limit+refund".to_owned(),
        2 => "%22refund+limit%22".to_owned(),
        3 => "lim*".to_owned(),
        4 => format!("{}+-payment", random.word()),
        5 => format!("{}+{}", random.word(), random.word()),
        6 => format!("{}&state=published", random.word()),
        7 => format!("{}&actor=anonymous", random.word()),
        8 => format!("rare{}", random.next(20_000)),
        _ => random.word(),
    };
    // A cursor deep inside of the hits: the second tier, before the position 50,000.
    let cursor = if random.next(4) == 0 {
        "&cursor=s20000000000c350"
    } else {
        ""
    };
    format!("/v1/search?q={query}{cursor}")
}

/// Sends writes at a fixed rate until `end`, and returns their latencies.
async fn write(rest: String, ids: Arc<Vec<String>>, rate: u64, end: Instant) -> Result<Latencies> {
    let client = Client::new();
    let mut random = Random(11);
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1) as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut running, mut latencies) = (JoinSet::new(), Latencies::default());
    while Instant::now() < end {
        ticks.tick().await;
        let url = format!("{rest}/v1/specs/{}", ids[random.next(ids.len())]);
        let body = json!({ "content": random.content(0) });
        let request = client.put(url).json(&body);
        running.spawn(async move {
            let started = Instant::now();
            let response = request.send().await?.error_for_status()?;
            response.bytes().await?;
            Ok::<_, reqwest::Error>(started.elapsed())
        });
        while let Some(done) = running.try_join_next() {
            latencies.0.push(done??);
        }
    }
    while let Some(done) = running.join_next().await {
        latencies.0.push(done??);
    }
    latencies.0.sort_unstable();
    Ok(latencies)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let server = Server::start(&options).await?;
    let ids = Arc::new(fill(&server, &options).await?);
    drop(server);

    let server = Server::start(&options).await?;
    let idle = server.memory("VmRSS")?;
    let rest = || server.rest.clone();
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let end = begun + Duration::from_secs(options.seconds);
    let get_ids = ids.clone();
    let get =
        move |random: &mut Random| format!("/v1/specs/{}", get_ids[random.next(get_ids.len())]);
    let last = ids.len() * 9 / 10;
    let list = move |random: &mut Random| {
        let state = ["", "&state=draft", "&state=published"][random.next(3)];
        format!("/v1/specs?cursor=p{:x}{state}", random.next(last.max(1)))
    };
    let pause = Duration::from_millis;
    let (gets, lists, searches, writes) = tokio::try_join!(
        read(rest(), end, pause(5), get),
        read(rest(), end, pause(20), list),
        read(rest(), end, pause(20), search),
        write(rest(), ids.clone(), options.writes, end),
    )?;
    let cpu = (server.cpu()? - cpu) / begun.elapsed().as_secs_f64();

    println!("\n| measurement | requests | p50 | p95 | p99 | target |");
    println!("|---|---|---|---|---|---|");
    for (name, latencies, target) in [
        ("get", &gets, "p99 ≤ 2 ms"),
        ("list", &lists, "p95 ≤ 50 ms"),
        ("search", &searches, "p95 ≤ 50 ms"),
        ("write", &writes, ""),
    ] {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| latencies.percentile(percent));
        println!(
            "| {name} | {} | {p50:.1?} | {p95:.1?} | {p99:.1?} | {target} |",
            latencies.0.len()
        );
    }
    println!("| start | | {:.2?} | | | ≤ 2 s |", server.started);
    println!("| memory after the start | | {idle} MiB | | | ≤ 200 MiB |");
    println!(
        "| memory after the load | | {} MiB | | | ≤ 200 MiB |",
        server.memory("VmRSS")?
    );
    println!(
        "| highest memory | | {} MiB | | | |",
        server.memory("VmHWM")?
    );
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!(
        "\n{} specifications; the server used {cpu:.2} cores; load average {}",
        ids.len(),
        load.trim()
    );
    Ok(())
}
