use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

/// What to measure, on which database, for how long.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    #[arg(value_enum)]
    pub scenario: Scenario,

    /// `memory`, `sqlite:PATH` or `postgres://URL`; what is there has been emptied before.
    #[arg(long)]
    pub database: Database,

    /// Tasks that each issue their next command when the last one is acknowledged.
    #[arg(long, default_value_t = 1)]
    pub callers: usize,

    /// How long commands are issued, after the preparation.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,

    /// Events per command (`append`), per account (`load`) or in all (`catch_up`, `catch_up_table`).
    #[arg(long, default_value_t = 0)]
    pub size: usize,
}

impl Args {
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// One event per command, each caller on accounts of its own with 10 prior events.
    Distinct,
    /// One event per command, all callers on one account that begins with 10 events.
    Hot,
    /// One decision over two accounts, one event on each; no two callers share an account.
    Transfer,
    /// `size` events per command, each command on an account that nobody used before.
    Append,
    /// The state of an account with `size` events.
    Load,
    /// The state of an account with `size` events, where a snapshot of it is stored.
    LoadSnapshot,
    /// `size` stored events through a projection.
    CatchUp,
    /// `size` stored events through a projection that changes a row of a table for each.
    CatchUpTable,
    /// One event per command on one of ten accounts, where `size` events are stored.
    Growth,
}

impl Scenario {
    /// The name on the command line and in the report.
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Memory,
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    /// The name in the report.
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
                "{text} is neither memory, sqlite:PATH nor postgres://URL"
            )),
        }
    }
}
