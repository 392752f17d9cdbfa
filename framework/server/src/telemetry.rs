//! [`Telemetry`]: the logs and traces of a server.

use anyhow::Result;
use clap::Args;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::logs::{LogFormat, log_layer};
#[cfg(feature = "otlp")]
use crate::otlp::{Otlp, OtlpSettings};

/// The settings of logs and traces.
#[derive(Debug, Clone, Args)]
pub struct TelemetrySettings {
    /// Format of the logs on standard error; `RUST_LOG` sets the log level.
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// The settings of the export of traces.
    #[cfg(feature = "otlp")]
    #[command(flatten)]
    pub otlp: OtlpSettings,
}

impl TelemetrySettings {
    /// Starts the logs of this process, and the export of its traces under the name `service`.
    ///
    /// Call it once.
    ///
    /// # Errors
    /// Returns an error if a setting of the export is not valid, or if a receiver of logs is already installed.
    pub fn start(&self, service: &'static str) -> Result<Telemetry> {
        let registry = tracing_subscriber::registry().with(log_layer(self.log_format));
        #[cfg(feature = "otlp")]
        {
            let otlp = self.otlp.start(service)?;
            registry.with(otlp.as_ref().map(Otlp::layer)).try_init()?;
            Ok(Telemetry { otlp })
        }
        #[cfg(not(feature = "otlp"))]
        {
            let _ = service;
            registry.try_init()?;
            Ok(Telemetry {})
        }
    }
}

/// The running logs and traces of a server.
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    otlp: Option<Otlp>,
}

impl Telemetry {
    /// Exports the traces that are not exported yet. Call it when the server has stopped.
    #[cfg_attr(
        not(feature = "otlp"),
        expect(clippy::unused_async, reason = "the export waits")
    )]
    pub async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some(otlp) = self.otlp {
            otlp.stop().await;
        }
    }
}
