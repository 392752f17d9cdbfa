//! [`follow`]: the users in a file, which is reloaded while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum::store::error_chain;
use tokio::sync::watch;
use tracing::{error, info};

use super::policy::Policy;
use super::users_file::{self, UsersFileError};

/// Reads the file of users, and reloads it at each SIGHUP until the receivers are dropped.
///
/// # Errors
/// Returns an error if the file cannot be read or is not valid.
pub fn follow(file: &Path) -> Result<watch::Receiver<Arc<Policy>>, UsersFileError> {
    let policy = users_file::read(file)?;
    info!(
        users = policy.users.len(),
        tokens = policy.tokens.len(),
        "users loaded"
    );
    let (policies, current) = watch::channel(Arc::new(policy));
    tokio::spawn(reload_at_hangup(file.to_owned(), policies));
    Ok(current)
}

/// Reloads the file at each SIGHUP. A file that is not valid changes nothing.
async fn reload_at_hangup(path: PathBuf, policies: watch::Sender<Arc<Policy>>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                error!(%error, "cannot receive SIGHUP; the file of users will not be reloaded");
                return policies.closed().await;
            }
        };
        loop {
            tokio::select! {
                _ = hangup.recv() => reload(&path, &policies),
                () = policies.closed() => return,
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        policies.closed().await;
    }
}

fn reload(path: &Path, policies: &watch::Sender<Arc<Policy>>) {
    match users_file::read(path) {
        Ok(policy) => {
            info!(
                users = policy.users.len(),
                tokens = policy.tokens.len(),
                "users reloaded"
            );
            policies.send_replace(Arc::new(policy));
        }
        Err(error) => {
            let error = error_chain(&error);
            error!(
                error,
                "users not reloaded; the users of the last valid file stay"
            );
        }
    }
}
