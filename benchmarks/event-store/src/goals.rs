//! The goals, as ratios within one run.

use std::fmt::Write as _;

use crate::report::{Report, Value, mebibytes};
use crate::server::Side;

/// The most memory with 1,000 subscribers, in mebibytes.
const MAX_MEMORY: f64 = 256.0;
/// The longest 99th percentile of the delivery, in milliseconds.
const MAX_DELIVERY: f64 = 10.0;

pub fn render(report: &Report) -> String {
    let mut text = "| goal | measured | |\n|---|---|---|\n".to_owned();
    for (scenario, clients, goal) in [
        ("append", 1, 1.5),
        ("append", 8, 1.5),
        ("append", 64, 1.5),
        ("catch_up", 1, 2.0),
    ] {
        let own = rate(report, scenario, Side::Native, clients);
        let other = rate(report, scenario, Side::Umadb, clients);
        if let (Some(own), Some(other)) = (own, other) {
            let name = format!("{scenario}, {clients}: ≥ {goal} × UmaDB");
            row(
                &mut text,
                &name,
                format!("{:.2} ×", own / other),
                own >= goal * other,
            );
        }
    }
    if let (Some(own), Some(other)) = (first(report, Side::Native), first(report, Side::Umadb)) {
        let _ = writeln!(
            text,
            "| first catch_up, for comparison | {:.2} × | |",
            own / other
        );
    }
    for clients in [1, 8, 64] {
        let own = rate(report, "stream", Side::Native, 1);
        let other = rate(report, "append", Side::Umadb, clients);
        if let (Some(own), Some(other)) = (own, other) {
            let name = format!("one stream: ≥ 5 × UmaDB's append with {clients} clients");
            row(
                &mut text,
                &name,
                format!("{:.2} ×", own / other),
                own >= 5.0 * other,
            );
        }
    }
    if let Some(Value::Memory(memory)) = report.find("subscribers", Side::Native, 1_000) {
        let memory = mebibytes(memory.with_subscribers);
        let name = format!("memory with 1,000 subscribers: ≤ {MAX_MEMORY} MiB");
        row(
            &mut text,
            &name,
            format!("{memory:.0} MiB"),
            memory <= MAX_MEMORY,
        );
    }
    if let Some(Value::Latency(latency)) = report.find("delivery", Side::Native, 1) {
        let p99 = latency.p99.as_secs_f64() * 1_000.0;
        let name = format!("delivery after commit, 99th percentile: ≤ {MAX_DELIVERY} ms");
        row(
            &mut text,
            &name,
            format!("{p99:.1} ms"),
            p99 <= MAX_DELIVERY,
        );
    }
    text
}

fn rate(report: &Report, scenario: &str, side: Side, clients: usize) -> Option<f64> {
    match report.find(scenario, side, clients)? {
        Value::Rate(measured) => Some(measured.per_second),
        Value::CatchUp(measured) => Some(measured.per_second),
        Value::Memory(_) | Value::Latency(_) => None,
    }
}

/// Returns the rate of the first catch-up, with an empty cache.
fn first(report: &Report, side: Side) -> Option<f64> {
    match report.find("catch_up", side, 1)? {
        Value::CatchUp(measured) => Some(measured.first),
        _ => None,
    }
}

fn row(text: &mut String, name: &str, measured: String, is_met: bool) {
    let sign = if is_met { "✓" } else { "✗" };
    let _ = writeln!(text, "| {name} | {measured} | {sign} |");
}
