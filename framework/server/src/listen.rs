//! [`listen`]: a bound address.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

/// Binds `address`, and prints the bound address of `api` as one line on standard output.
///
/// # Errors
/// Returns an error if the address cannot be bound.
pub async fn listen(api: &str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot bind the {api} API to {address}"))?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{api} API on http://{address}")?;
    Ok(listener)
}
