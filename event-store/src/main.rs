//! The program `event-store`.

use anyhow::Result;
use clap::Parser as _;
use event_store::server;
use event_store::settings::ServerSettings;
use factum_server::logs;

#[tokio::main]
async fn main() -> Result<()> {
    let settings = ServerSettings::parse();
    logs::init(settings.log_format);
    server::run(settings).await
}
