use serde::Serialize;

use crate::{Args, Bank, drive::Measured};

#[derive(Serialize)]
struct Report<'a> {
    side: &'a str,
    database: &'a str,
    scenario: &'a str,
    callers: usize,
    size: usize,
    count: usize,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    note: String,
}

#[derive(Serialize)]
struct Rejection<'a> {
    side: &'a str,
    database: &'a str,
    scenario: &'a str,
    size: usize,
    unsupported: &'a str,
}

/// The line of a run that was measured.
pub fn report<B: Bank>(args: &Args, mut measured: Measured, seconds: f64, note: String) -> String {
    line(&Report {
        side: B::SIDE,
        database: args.database.name(),
        scenario: args.scenario.name(),
        callers: args.callers,
        size: args.size,
        count: measured.count,
        per_second: (measured.count as f64 / seconds * 10.0).round() / 10.0,
        p50_us: measured.percentile(0.5).round(),
        p99_us: measured.percentile(0.99).round(),
        note,
    })
}

/// The line of a program that cannot do what is asked for.
pub fn reject(side: &str, args: &Args, why: &str) -> String {
    line(&Rejection {
        side,
        database: args.database.name(),
        scenario: args.scenario.name(),
        size: args.size,
        unsupported: why,
    })
}

fn line(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("plain fields")
}
