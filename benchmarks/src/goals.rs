//! What was aimed at, as ratios within one run.

use std::fmt::Write as _;

use crate::run::Measured;
use crate::table::thousands;

/// A measurement that a goal speaks of.
#[derive(Clone, Copy)]
struct At {
    scenario: &'static str,
    database: &'static str,
    callers: usize,
    size: usize,
}

/// What ours is held against.
enum Against {
    /// This many times the best peer.
    Peers(f64),
    /// This share of the driver alone.
    Raw(At, f64),
    /// This share of ourselves elsewhere.
    Ours(At, f64),
}

/// The side that stands for us, where, and the goal.
type Goal = (&'static str, At, Against);

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
        ("factum", at("distinct", "memory", 1), Against::Peers(8.0)),
        ("factum", at("distinct", "sqlite", 1), Against::Peers(2.5)),
        ("factum", at("distinct", "sqlite", 32), Against::Peers(10.0)),
        (
            "factum",
            at("distinct", "sqlite", 256),
            Against::Peers(15.0),
        ),
        ("factum", at("distinct", "postgres", 1), Against::Peers(2.0)),
        (
            "factum",
            at("distinct", "postgres", 32),
            Against::Peers(10.0),
        ),
        (
            "factum",
            at("distinct", "postgres", 256),
            Against::Peers(20.0),
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
                Against::Raw(raw(1), 1.0 / 1.3),
            ),
            (
                "factum",
                at("distinct", database, 256),
                Against::Raw(raw(100), share),
            ),
            (
                "factum, cold",
                at("distinct", database, 32),
                Against::Peers(4.0),
            ),
            ("factum", at("hot", database, 32), Against::Peers(10.0)),
            ("factum", caught_up, Against::Raw(read, 0.5)),
            ("factum", caught_up, Against::Peers(5.0)),
            ("factum", table, Against::Raw(upserted, 0.7)),
            (
                "factum",
                grown(million),
                Against::Ours(grown(1_000), 1.0 / 1.2),
            ),
        ]);
    }
    goals
}

pub fn render(measured: &[Measured]) -> String {
    let mut text = "### Goals\n\n| what | per second | against | goal | reached | |\n|---|---|---|---|---|---|\n".to_owned();
    for (side, place, against) in goals() {
        let ours = rate(measured, place, |name| name == side);
        let is_peer = |name: &str| !name.starts_with("factum");
        let (other, times) = match against {
            Against::Peers(times) => (best(measured, place, is_peer), times),
            Against::Raw(raw, share) => (best(measured, raw, |name| name == "sqlx"), share),
            Against::Ours(before, share) => (best(measured, before, |name| name == side), share),
        };
        let (Some(ours), Some((name, other))) = (ours, other) else {
            continue;
        };
        let reached = ours / other;
        let sign = if reached >= times { "✓" } else { "✗" };
        let At {
            scenario,
            database,
            callers,
            ..
        } = place;
        let _ = writeln!(
            text,
            "| {side}: {scenario}, {database}, {callers} | {} | {name}: {} | ≥ {times:.2} | {reached:.2} | {sign} |",
            thousands(ours),
            thousands(other),
        );
    }
    text
}

fn rate(measured: &[Measured], at: At, side: impl Fn(&str) -> bool) -> Option<f64> {
    best(measured, at, side).map(|(_, rate)| rate)
}

fn best(measured: &[Measured], at: At, side: impl Fn(&str) -> bool) -> Option<(&str, f64)> {
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
