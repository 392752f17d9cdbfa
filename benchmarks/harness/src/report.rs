//! The report of a measurement as one line of JSON.

use serde::Serialize;

use crate::{Args, Bank, drive::Measured};

#[derive(Serialize)]
struct ReportLine<'a> {
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
struct ReportedRejection<'a> {
    side: &'a str,
    database: &'a str,
    scenario: &'a str,
    size: usize,
    unsupported: &'a str,
}

/// Returns the line of a successful measurement.
pub fn report<B: Bank>(args: &Args, mut measured: Measured, seconds: f64, note: String) -> String {
    line(&ReportLine {
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

/// Returns the line of a measurement that the framework does not support.
pub fn reject(side: &str, args: &Args, reason: &str) -> String {
    line(&ReportedRejection {
        side,
        database: args.database.name(),
        scenario: args.scenario.name(),
        size: args.size,
        unsupported: reason,
    })
}

fn line(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("a report is serializable")
}
