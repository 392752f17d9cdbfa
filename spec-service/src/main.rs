//! The program `spec-service`.

use anyhow::Result;
use clap::Parser as _;
use factum_server::logs;
use spec_service::settings::Settings;

#[tokio::main]
async fn main() -> Result<()> {
    let settings = Settings::parse();
    logs::init(settings.log_format);
    spec_service::server::run(settings).await
}
