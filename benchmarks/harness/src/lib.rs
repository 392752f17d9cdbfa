//! The harness of all measured programs: arguments, scenarios, the closed loop, and the report.
//!
//! Two programs differ only in the framework: a program implements [`Bank`] with it and passes it to [`run`].

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
