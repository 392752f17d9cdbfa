//! The measurements: one table for each scenario and database.

/// A scenario on a database, measured with several numbers of callers.
pub struct Table {
    pub scenario: &'static str,
    pub database: &'static str,
    pub size: usize,
    pub callers: &'static [usize],
    pub title: &'static str,
}

const ANY: &[&str] = &["memory", "sqlite", "postgres"];
const MEMORY: &[&str] = &["memory"];
const DISK: &[&str] = &["sqlite", "postgres"];
const EVERY: &[usize] = &[1, 8, 32, 256];
const FEW: &[usize] = &[1, 32];
const ONE: &[usize] = &[1];
const MANY: usize = 100_000;
const MILLION: usize = 1_000_000;

type Row = (
    &'static str,
    usize,
    &'static [&'static str],
    &'static [usize],
    &'static str,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("raw_insert", 1, DISK, ONE, "the driver alone: one row per commit"),
    ("raw_insert", 100, DISK, ONE, "the driver alone: 100 rows per commit"),
    ("distinct", 0, ANY, EVERY, "one event per command, over 4,096 aggregates with 10 events each"),
    ("raw_by_hand", 0, MEMORY, ONE, "the same commands, each a function written by hand: no queue, no receipt, nobody reads"),
    ("hot", 0, ANY, EVERY, "all callers on one aggregate"),
    ("transfer", 0, ANY, FEW, "one decision over two aggregates, an event on each"),
    ("append", 1, ANY, FEW, "a new aggregate with 1 event per command"),
    ("append", 10, ANY, FEW, "a new aggregate with 10 events per command"),
    ("append", 100, ANY, FEW, "a new aggregate with 100 events per command"),
    ("load", 10, ANY, FEW, "loading an aggregate of 10 events"),
    ("load", 100, ANY, FEW, "loading an aggregate of 100 events"),
    ("load", 10_000, ANY, FEW, "loading an aggregate of 10,000 events"),
    ("load_snapshot", 10_000, ANY, FEW, "the same where a snapshot is stored"),
    ("raw_read", MILLION, DISK, ONE, "the driver alone: 1,000,000 rows read in order"),
    ("catch_up", MILLION, ANY, ONE, "a projection over 1,000,000 stored events"),
    ("raw_upsert", MANY, DISK, ONE, "the driver alone: 100,000 rows changed, one statement each, 1,000 per commit"),
    ("catch_up_table", MANY, DISK, ONE, "a projection into a table over 100,000 stored events, one row changed by each"),
    ("growth", 1_000, DISK, ONE, "one command where 1,000 events are stored"),
    ("growth", 100_000, DISK, ONE, "one command where 100,000 events are stored"),
    ("growth", MILLION, DISK, ONE, "one command where 1,000,000 events are stored"),
];

/// Returns all tables, ordered by database.
pub fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for database in ANY {
        let of_database = ROWS.iter().filter(|row| row.2.contains(database));
        tables.extend(
            of_database.map(|&(scenario, size, _, callers, title)| Table {
                scenario,
                database,
                size,
                callers,
                title,
            }),
        );
    }
    tables
}
