//! [`serve`]: the REST API on a listener.

use anyhow::Result;
use factum_server::http;
use factum_server::net::{ConnectionLimits, Incoming};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::api::Api;
use super::parse_errors::ParseErrorBodies;
use super::router;

/// Serves on `listener` until `stop` becomes `true`, and waits for requests in flight.
///
/// # Errors
/// Never returns an error.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    limits: ConnectionLimits,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let incoming = Incoming::new("rest", listener, limits, stop.clone());
    http::serve(incoming, router(api), ParseErrorBodies::new, stop).await;
    Ok(())
}
