//! The results of a scenario as a Markdown table.

use std::fmt::Write as _;

use crate::plan::Table;
use crate::run::Measurement;

pub fn render(table: &Table, measured: &[Measurement]) -> String {
    let mut text = format!("### {}: {}\n\n", name(table.database), table.title);
    let mut sides: Vec<&str> = Vec::new();
    for one in of(table, measured) {
        if !sides.contains(&one.side.as_str()) {
            sides.push(&one.side);
        }
    }
    let unit = match table.scenario {
        "raw_insert" | "raw_read" | "raw_upsert" => "rows",
        "catch_up" | "catch_up_table" => "events",
        "load" | "load_snapshot" => "loads",
        _ => "commands",
    };
    let _ = write!(text, "| {unit} per second |");
    for callers in table.callers {
        let _ = write!(
            text,
            " {callers} caller{} |",
            if *callers == 1 { "" } else { "s" }
        );
    }
    let _ = write!(text, "\n|---|{}\n", "---|".repeat(table.callers.len()));
    let mut notes = Vec::new();
    for side in sides {
        let _ = write!(text, "| {side} |");
        for callers in table.callers {
            let one = of(table, measured).find(|one| one.side == side && one.callers == *callers);
            let _ = write!(text, " {} |", one.map_or_else(|| "–".to_owned(), cell));
        }
        text.push('\n');
        let of_side = of(table, measured).filter(|one| one.side == side);
        let last = of_side.last();
        let note = last.map(|one| one.unsupported.as_deref().unwrap_or(&one.note));
        if let Some(note) = note.filter(|note| !note.is_empty()) {
            notes.push(format!("{side}: {note}."));
        }
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n{}\n", notes.join("\n"));
    }
    text
}

fn of<'m>(table: &Table, measured: &'m [Measurement]) -> impl Iterator<Item = &'m Measurement> {
    let (scenario, database, size) = (table.scenario, table.database, table.size);
    measured
        .iter()
        .filter(move |one| one.scenario == scenario && one.database == database && one.size == size)
}

fn name(database: &str) -> &str {
    match database {
        "sqlite" => "SQLite",
        "postgres" => "PostgreSQL",
        _ => "Memory",
    }
}

/// Returns the rate, and the median and the 99th percentile of the latency.
fn cell(one: &Measurement) -> String {
    let rate = thousands(one.per_second);
    match one.p50_us {
        0.0 => rate,
        p50 => format!("{rate} ({}, {})", duration(p50), duration(one.p99_us)),
    }
}

/// Formats a rate with thousands separators.
pub fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(micros: f64) -> String {
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.1} ms", micros / 1_000.0),
        _ => format!("{:.1} s", micros / 1_000_000.0),
    }
}
