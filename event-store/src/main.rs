//! The program `event-store`.

use std::io::IsTerminal as _;

use anyhow::Result;
use clap::Parser as _;
use event_store::server;
use event_store::settings::ServerSettings;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<()> {
    let settings = ServerSettings::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    server::run(settings).await
}
