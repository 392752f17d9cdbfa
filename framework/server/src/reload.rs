//! [`Hangups`]: the signals on which a server loads its files again.

use anyhow::Result;
use factum_core::error::error_chain;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use crate::tls::Tls;

/// The `SIGHUP` signals of this process. They no longer end it.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signals: Signal,
}

impl Hangups {
    /// Installs the signal handler.
    ///
    /// # Errors
    /// Returns an error if the handler cannot be installed.
    pub fn install() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signals: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.signals.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Loads the files of `tls` again on every signal, and never returns.
///
/// If a new file cannot be used, the server continues with the previous one.
pub async fn reload_on_hangup(tls: Option<Tls>, mut hangups: Hangups) {
    loop {
        hangups.next().await;
        match tls.as_ref().map(Tls::reload) {
            None => info!("SIGHUP received; the server has no TLS files"),
            Some(Ok(())) => info!("TLS files loaded again"),
            Some(Err(error)) => {
                let error = error_chain(&error);
                error!(
                    error,
                    "cannot load the TLS files again; the previous ones stay in use"
                );
            }
        }
    }
}
