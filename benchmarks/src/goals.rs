//! Performance goals, as ratios within one run.

use std::fmt::Write as _;

use crate::run::Measurement;
use crate::table::thousands;

/// The measurement that a goal refers to.
#[derive(Clone, Copy)]
struct At {
    scenario: &'static str,
    database: &'static str,
    callers: usize,
    size: usize,
}

/// The measurement that factum is compared with.
enum Versus {
    /// The best peer, and the required multiple of its rate.
    Peers(f64),
    /// A measurement of the driver alone, and the required share of its rate.
    Raw(At, f64),
    /// Another measurement of factum, and the required share of its rate.
    Factum(At, f64),
}

/// The side of factum, the measurement, and what it is compared with.
type Goal = (&'static str, At, Versus);

const fn at(scenario: &'static str, database: &'static str, callers: usize) -> At {
    sized(scenario, database, (callers, 0))
}

const fn sized(
    scenario: &'static str,
    database: &'static str,
    (callers, size): (usize, usize),
) -> At {
    At {
        scenario,
        database,
        callers,
        size,
    }
}

fn goals() -> Vec<Goal> {
    let mut goals = vec![
        ("factum", at("distinct", "memory", 1), Versus::Peers(8.0)),
        ("factum", at("distinct", "sqlite", 1), Versus::Peers(2.5)),
        ("factum", at("distinct", "sqlite", 32), Versus::Peers(10.0)),
        ("factum", at("distinct", "sqlite", 256), Versus::Peers(15.0)),
        ("factum", at("distinct", "postgres", 1), Versus::Peers(2.0)),
        (
            "factum",
            at("distinct", "postgres", 32),
            Versus::Peers(10.0),
        ),
        (
            "factum",
            at("distinct", "postgres", 256),
            Versus::Peers(20.0),
        ),
    ];
    for database in ["sqlite", "postgres"] {
        let raw = |size| sized("raw_insert", database, (1, size));
        let share = if database == "sqlite" { 0.6 } else { 0.5 };
        let million = 1_000_000;
        let read = sized("raw_read", database, (1, million));
        let caught_up = sized("catch_up", database, (1, million));
        let upserted = sized("raw_upsert", database, (1, 100_000));
        let table = sized("catch_up_table", database, (1, 100_000));
        let grown = |size| sized("growth", database, (1, size));
        goals.extend([
            (
                "factum",
                at("distinct", database, 1),
                Versus::Raw(raw(1), 1.0 / 1.3),
            ),
            (
                "factum",
                at("distinct", database, 256),
                Versus::Raw(raw(100), share),
            ),
            (
                "factum, cold",
                at("distinct", database, 32),
                Versus::Peers(4.0),
            ),
            ("factum", at("hot", database, 32), Versus::Peers(10.0)),
            ("factum", caught_up, Versus::Raw(read, 0.5)),
            ("factum", caught_up, Versus::Peers(5.0)),
            ("factum", table, Versus::Raw(upserted, 0.7)),
            (
                "factum",
                grown(million),
                Versus::Factum(grown(1_000), 1.0 / 1.2),
            ),
        ]);
    }
    goals
}

pub fn render(measured: &[Measurement]) -> String {
    let mut text = "### Goals\n\n| measurement | per second | compared with | goal | ratio | |\n|---|---|---|---|---|---|\n".to_owned();
    for (side, measurement, baseline) in goals() {
        let factum = rate(measured, measurement, |name| name == side);
        let is_peer = |name: &str| !name.starts_with("factum");
        let (other, goal) = match baseline {
            Versus::Peers(times) => (best(measured, measurement, is_peer), times),
            Versus::Raw(raw, share) => (best(measured, raw, |name| name == "sqlx"), share),
            Versus::Factum(before, share) => (best(measured, before, |name| name == side), share),
        };
        let (Some(factum), Some((name, other))) = (factum, other) else {
            continue;
        };
        let ratio = factum / other;
        let sign = if ratio >= goal { "✓" } else { "✗" };
        let At {
            scenario,
            database,
            callers,
            ..
        } = measurement;
        let _ = writeln!(
            text,
            "| {side}: {scenario}, {database}, {callers} | {} | {name}: {} | ≥ {goal:.2} | {ratio:.2} | {sign} |",
            thousands(factum),
            thousands(other),
        );
    }
    text
}

fn rate(measured: &[Measurement], at: At, side: impl Fn(&str) -> bool) -> Option<f64> {
    best(measured, at, side).map(|(_, rate)| rate)
}

fn best(measured: &[Measurement], at: At, side: impl Fn(&str) -> bool) -> Option<(&str, f64)> {
    let there = measured.iter().filter(|one| {
        one.unsupported.is_none()
            && one.scenario == at.scenario
            && one.database == at.database
            && one.callers == at.callers
            && one.size == at.size
            && side(&one.side)
    });
    let rates = there.map(|one| (one.side.as_str(), one.per_second));
    rates.max_by(|one, other| one.1.total_cmp(&other.1))
}
