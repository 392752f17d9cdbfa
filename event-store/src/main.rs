//! The program `event-store`.

use anyhow::Result;
use clap::Parser;
use event_store::access::AccessCommand;
use event_store::server;
use event_store::settings::ServerSettings;
use factum_server::logs;

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
    let Program { command, settings } = Program::parse();
    if let Some(command) = command {
        return command.run();
    }
    logs::init(settings.log_format);
    server::run(settings).await
}
