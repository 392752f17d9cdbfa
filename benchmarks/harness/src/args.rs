//! The command line arguments of a program that measures.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

/// Measures one scenario on one database.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// The scenario to measure.
    #[arg(value_enum)]
    pub scenario: Scenario,

    /// Empty database to use: `memory`, `sqlite:PATH` or `postgres://URL`.
    #[arg(long)]
    pub database: Database,

    /// Number of tasks, each of which issues its next command when the last one is acknowledged.
    #[arg(long, default_value_t = 1)]
    pub callers: usize,

    /// Measuring time in seconds, without the preparation.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,

    /// Number of events per command (`append`), per account (`load`) or in total (other scenarios).
    #[arg(long, default_value_t = 0)]
    pub size: usize,
}

impl Args {
    /// Returns the measuring time.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// The scenario of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// One event per command; each caller has its own accounts with 10 prior events.
    Distinct,
    /// One event per command; all callers share one account with 10 prior events.
    Hot,
    /// One decision over two accounts with one event on each; no two callers share an account.
    Transfer,
    /// `size` events per command; each command creates a new account.
    Append,
    /// Loads an account with `size` events.
    Load,
    /// Loads an account with `size` events from a stored snapshot.
    LoadSnapshot,
    /// Projects `size` stored events.
    CatchUp,
    /// Projects `size` stored events into a table, with one updated row per event.
    CatchUpTable,
    /// One event per command on one of ten accounts, in a store with `size` events.
    Growth,
}

impl Scenario {
    /// Returns the name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Distinct => "distinct",
            Self::Hot => "hot",
            Self::Transfer => "transfer",
            Self::Append => "append",
            Self::Load => "load",
            Self::LoadSnapshot => "load_snapshot",
            Self::CatchUp => "catch_up",
            Self::CatchUpTable => "catch_up_table",
            Self::Growth => "growth",
        }
    }
}

/// The database that a measurement uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Memory,
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    /// Returns the name in the report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            _ => Err(format!(
                "invalid database {text:?}; expected memory, sqlite:PATH or postgres://URL"
            )),
        }
    }
}
