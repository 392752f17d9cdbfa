//! The program `event-store`.

use std::io::Write as _;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use event_store::access::AccessCommand;
use event_store::server;
use event_store::settings::{ServerSettings, SettingsReport};

/// The Factum event store: events over gRPC, stored in memory, SQLite or PostgreSQL.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    command: Option<AccessCommand>,

    #[command(flatten)]
    settings: ServerSettings,
}

#[tokio::main]
async fn main() -> Result<()> {
    let matches = Program::command().get_matches();
    let program = Program::from_arg_matches(&matches);
    let Program { command, settings } = program.unwrap_or_else(|error| error.exit());
    if let Some(command) = command {
        return command.run();
    }
    let report = SettingsReport::new(&Program::command(), &matches);
    if settings.print_settings {
        let store = settings.store_place()?;
        write!(
            std::io::stdout(),
            "{report}\nevents are stored in: {store}\n"
        )?;
        return Ok(());
    }
    let telemetry = settings.telemetry.start("event-store")?;
    report.log();
    let ended = server::run(settings).await;
    telemetry.stop().await;
    ended
}
