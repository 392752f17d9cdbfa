//! The program `spec-service`.

use anyhow::Result;
use clap::Parser as _;
use spec_service::settings::Settings;

#[tokio::main]
async fn main() -> Result<()> {
    let settings = Settings::parse();
    let telemetry = settings.telemetry.start("spec-service")?;
    let ended = spec_service::server::run(settings).await;
    telemetry.stop().await;
    ended
}
