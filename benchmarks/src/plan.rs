//! What is measured: one table for each scenario and database.

/// A scenario on a database, at several numbers of callers.
pub struct Table {
    pub scenario: &'static str,
    pub database: &'static str,
    pub size: usize,
    pub callers: &'static [usize],
    pub title: &'static str,
}

const EVERY: &[usize] = &[1, 8, 32, 256];
const FEW: &[usize] = &[1, 32];
const ONE: &[usize] = &[1];

pub fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for database in ["memory", "sqlite", "postgres"] {
        let mut add = |scenario, size, callers, title| {
            tables.push(Table {
                scenario,
                database,
                size,
                callers,
                title,
            });
        };
        if database != "memory" {
            add("raw_insert", 1, ONE, "the driver alone: one row per commit");
            add(
                "raw_insert",
                100,
                ONE,
                "the driver alone: 100 rows per commit",
            );
        }
        let title = "one event per command, over 4,096 aggregates with 10 events each";
        add("distinct", 0, EVERY, title);
        add("hot", 0, EVERY, "all callers on one aggregate");
        add(
            "transfer",
            0,
            FEW,
            "one decision over two aggregates, an event on each",
        );
        for (size, title) in [
            (1, "a new aggregate with 1 event per command"),
            (10, "a new aggregate with 10 events per command"),
            (100, "a new aggregate with 100 events per command"),
        ] {
            add("append", size, FEW, title);
        }
        for (size, title) in [
            (10, "loading an aggregate of 10 events"),
            (100, "loading an aggregate of 100 events"),
            (10_000, "loading an aggregate of 10,000 events"),
        ] {
            add("load", size, FEW, title);
        }
        add(
            "load_snapshot",
            10_000,
            FEW,
            "the same where a snapshot is stored",
        );
        if database != "memory" {
            add(
                "raw_read",
                1_000_000,
                ONE,
                "the driver alone: rows read in order",
            );
        }
        add(
            "catch_up",
            1_000_000,
            ONE,
            "a projection over 1,000,000 stored events",
        );
        if database != "memory" {
            for (size, title) in [
                (1_000, "one command, 1,000 events stored before"),
                (100_000, "one command, 100,000 events stored before"),
                (1_000_000, "one command, 1,000,000 events stored before"),
            ] {
                add("growth", size, ONE, title);
            }
        }
    }
    tables
}
