//! Measurements, and their tables in Markdown.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::server::Side;

/// A rate with its latencies, and the processor time of the server for one operation.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub per_second: f64,
    pub median: Duration,
    pub p99: Duration,
    pub server_time: Duration,
}

impl Measured {
    /// Summarizes the latencies of operations that took `duration` together.
    pub fn of(mut latencies: Vec<Duration>, duration: Duration) -> Self {
        latencies.sort_unstable();
        let quantile = |percent: usize| {
            let index = latencies.len() * percent / 100;
            latencies.get(index).copied().unwrap_or_default()
        };
        Self {
            per_second: latencies.len() as f64 / duration.as_secs_f64(),
            median: quantile(50),
            p99: quantile(99),
            server_time: Duration::ZERO,
        }
    }

    /// Adds the processor time of the server for all operations.
    pub fn with_server_time(mut self, time: Duration, duration: Duration) -> Self {
        self.server_time = time.div_f64((self.per_second * duration.as_secs_f64()).max(1.0));
        self
    }
}

/// The rate of a catch-up in events, and the processor time of one event.
#[derive(Debug, Clone, Copy)]
pub struct CatchUp {
    /// The rate of the first catch-up.
    pub first: f64,
    /// The rate of the fastest one.
    pub per_second: f64,
    pub server_time: Duration,
    pub client_time: Duration,
}

/// The resident memory of a server in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub before: u64,
    pub with_subscribers: u64,
}

#[derive(Debug, Clone, Copy)]
pub enum Value {
    Rate(Measured),
    CatchUp(CatchUp),
    Memory(Memory),
    Latency(Measured),
}

/// The result of one side in one scenario.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    pub scenario: &'static str,
    pub side: Side,
    pub clients: usize,
    pub value: Value,
}

impl Measurement {
    pub fn rate(scenario: &'static str, side: Side, clients: usize, measured: Measured) -> Self {
        Self {
            scenario,
            side,
            clients,
            value: Value::Rate(measured),
        }
    }

    pub fn catch_up(side: Side, catch_up: CatchUp) -> Self {
        Self {
            scenario: "catch_up",
            side,
            clients: 1,
            value: Value::CatchUp(catch_up),
        }
    }

    pub fn memory(side: Side, clients: usize, memory: Memory) -> Self {
        Self {
            scenario: "subscribers",
            side,
            clients,
            value: Value::Memory(memory),
        }
    }

    pub fn latency(side: Side, measured: Measured) -> Self {
        Self {
            scenario: "delivery",
            side,
            clients: 1,
            value: Value::Latency(measured),
        }
    }
}

/// All measurements of a run.
#[derive(Debug, Default)]
pub struct Report {
    measurements: Vec<Measurement>,
}

impl Report {
    /// Adds a measurement, and prints it.
    pub fn add(&mut self, measurement: Measurement) {
        let Measurement {
            scenario,
            side,
            clients,
            value,
        } = measurement;
        eprintln!("{scenario}, {clients}, {}: {}", side.name(), cell(value));
        self.measurements.push(measurement);
    }

    pub fn find(&self, scenario: &str, side: Side, clients: usize) -> Option<Value> {
        let mut measurements = self.measurements.iter();
        let found = measurements
            .find(|one| one.scenario == scenario && one.side == side && one.clients == clients);
        found.map(|found| found.value)
    }

    /// Returns a row for each side and a column for each scenario.
    pub fn tables(&self) -> String {
        let mut columns: Vec<(&str, usize)> = Vec::new();
        for one in &self.measurements {
            if !columns.contains(&(one.scenario, one.clients)) {
                columns.push((one.scenario, one.clients));
            }
        }
        let mut text = "| server |".to_owned();
        for (scenario, clients) in &columns {
            let _ = write!(text, " {scenario}, {clients} |");
        }
        let _ = write!(text, "\n|---|{}\n", "---|".repeat(columns.len()));
        for side in Side::ALL {
            let _ = write!(text, "| {} |", side.name());
            for (scenario, clients) in &columns {
                let value = self.find(scenario, side, *clients);
                let _ = write!(text, " {} |", value.map_or_else(|| "–".to_owned(), cell));
            }
            text.push('\n');
        }
        text
    }
}

fn cell(value: Value) -> String {
    match value {
        Value::CatchUp(catch_up) => format!(
            "{:.0}/s ({:.0}/s first), {:.2?} server and {:.2?} client CPU",
            catch_up.per_second, catch_up.first, catch_up.server_time, catch_up.client_time
        ),
        Value::Rate(rate) => {
            format!(
                "{:.0}/s ({:.2?}, {:.2?}), {:.2?} CPU",
                rate.per_second, rate.median, rate.p99, rate.server_time
            )
        }
        Value::Memory(memory) => format!(
            "{:.0} MiB ({:.0} MiB before)",
            mebibytes(memory.with_subscribers),
            mebibytes(memory.before)
        ),
        Value::Latency(measured) => format!(
            "{:.2?}, {:.2?} at {:.0}/s",
            measured.median, measured.p99, measured.per_second
        ),
    }
}

pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// Describes the machine.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or("unknown")
        .trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let system = Command::new("uname").arg("-sr").output();
    let system = system.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let system = system.unwrap_or_default();
    format!("{model}, {cores} cores, {system}, load average {load} before the run\n")
}
