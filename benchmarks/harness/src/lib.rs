//! What every program of the comparison shares, so that only the framework measured differs between
//! two of them: the arguments, the scenarios with their preparation, the closed loop, the report.
//!
//! A program implements [`Bank`] over one framework and hands it to [`run`].

mod args;
mod bank;
mod drive;
mod report;
mod run;

pub use args::{Args, Database, Scenario};
pub use bank::{Bank, NOTE};
pub use report::reject;
pub use run::run;

pub use anyhow;
pub use clap::Parser;
pub use tokio;
