//! [`serve`]: the routes on a listener.

use anyhow::Result;
use axum::Router;
use factum_server::http;
use factum_server::net::{ConnectionLimits, Incoming};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::parse_errors::ParseErrorBodies;

/// Serves `router` on `listener` until `stop` becomes `true`, and waits for requests in flight.
///
/// # Errors
/// Never returns an error.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let incoming = Incoming::new("rest", listener, limits, stop.clone());
    http::serve(incoming, router, ParseErrorBodies::new, stop).await;
    Ok(())
}
