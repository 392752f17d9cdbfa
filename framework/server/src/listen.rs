//! [`listen`]: a bound address.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

/// Binds `address`, and prints the bound address of `api` as one line on standard output.
///
/// `scheme` is that of the clients, `http` or `https`.
///
/// # Errors
/// Returns an error if the address cannot be bound.
pub async fn listen(api: &str, scheme: &str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot bind the {api} API to {address}"))?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{api} API on {scheme}://{address}")?;
    Ok(listener)
}
