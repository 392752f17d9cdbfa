//! The settings that all servers have, and parsers of values of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::net::ConnectionLimits;
use crate::tls::{Tls, TlsError, TlsFiles};

/// The longest setting in seconds: one day.
const MAX_SECONDS: Duration = Duration::from_secs(86_400);

/// The greatest number of connections or streams.
const MAX_COUNT: usize = 65_536;

/// The settings of connections. Each API has its own connections.
#[derive(Debug, Clone, Args)]
pub struct ConnectionSettings {
    /// Maximum number of open connections of each API; further ones wait.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 1_024, value_parser = count)]
    pub max_connections: usize,

    /// Head timeout in seconds: from the first byte of a request to the end of its head.
    #[arg(long, env = "HEAD_TIMEOUT", default_value = "10", value_parser = timeout)]
    pub head_timeout: Duration,

    /// Send timeout in seconds: a connection whose client does not receive for this time is closed.
    #[arg(long, env = "SEND_TIMEOUT", default_value = "30", value_parser = timeout)]
    pub send_timeout: Duration,
}

impl ConnectionSettings {
    /// Returns the limits of the connections of each API, with the timeouts of the server.
    #[must_use]
    pub fn limits(&self, idle_timeout: Duration, unread_timeout: Duration) -> ConnectionLimits {
        ConnectionLimits {
            max_connections: self.max_connections,
            head_timeout: self.head_timeout,
            idle_timeout,
            send_timeout: self.send_timeout,
            unread_timeout,
        }
    }
}

/// The files of TLS. Without them, connections are not encrypted.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsSettings {
    /// PEM file of the server's certificate and those of its issuers; loaded again on SIGHUP.
    #[arg(long, env = "TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of the private key of the certificate; loaded again on SIGHUP.
    #[arg(long, env = "TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// PEM file of the authorities of clients; if set, every client needs a certificate.
    #[arg(long, env = "TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// Loads the files; returns `None` if there are none.
    ///
    /// # Errors
    /// Returns the errors of [`Tls::load`].
    pub fn load(&self, protocols: &[&'static str]) -> Result<Option<Tls>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let files = TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca.clone(),
            protocols: protocols.to_vec(),
        };
        Tls::load(files).map(Some)
    }
}

/// Parses a number of connections or streams, 1 to 65,536.
///
/// # Errors
/// Returns the rule if the number is not valid.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=MAX_COUNT) => Ok(count),
        _ => Err(format!("expected a number from 1 to {MAX_COUNT}")),
    }
}

/// Parses a number of seconds, 0 to one day.
///
/// # Errors
/// Returns the rule if the number is not valid.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|seconds| *seconds <= MAX_SECONDS)
        .ok_or_else(|| {
            format!(
                "expected a number of seconds from 0 to {}",
                MAX_SECONDS.as_secs()
            )
        })
}

/// Parses a timeout in seconds. Zero is rejected, because then no request would succeed.
///
/// # Errors
/// Returns the rule if the number is not valid.
pub fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text)
        .ok()
        .filter(|timeout| *timeout >= Duration::from_millis(1))
        .ok_or_else(|| {
            format!(
                "expected a number of seconds from 0.001 to {}",
                MAX_SECONDS.as_secs()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_rejected() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["-1", "NaN", "inf", "1e300", "86400.5", ""] {
            assert!(seconds(text).is_err(), "{text}");
            assert!(timeout(text).is_err(), "{text}");
        }
        assert_eq!(timeout("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(
            timeout("0").unwrap_err(),
            "expected a number of seconds from 0.001 to 86400"
        );
        assert_eq!(count("1"), Ok(1));
        assert!(count("0").is_err());
        assert!(count("65537").is_err());
    }
}
