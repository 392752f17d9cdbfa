//! [`follow`]: the users in a file, which is reloaded while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use factum::store::{BoxError, error_chain};
use factum_server::reload::Hangups;
use tokio::sync::watch;
use tracing::{error, info};

use super::policy::Policy;
use super::users_file::{self, UsersFileError};

/// Reads the file of users, and reloads it at each SIGHUP until the receivers are dropped.
///
/// # Errors
/// Returns an error if the file cannot be read or is not valid, or the signal handler cannot be installed.
pub fn follow(file: &Path) -> Result<watch::Receiver<Arc<Policy>>, AccessError> {
    let policy = users_file::read(file)?;
    info!(
        users = policy.users.len(),
        tokens = policy.tokens.len(),
        "users loaded"
    );
    let hangups = Hangups::install().map_err(|error| AccessError::Signal(error.into()))?;
    let (policies, current) = watch::channel(Arc::new(policy));
    tokio::spawn(reload_at_hangup(file.to_owned(), hangups, policies));
    Ok(current)
}

/// The users of a server cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] UsersFileError),
    /// The signal handler cannot be installed.
    #[error("cannot receive SIGHUP")]
    Signal(#[source] BoxError),
    /// The system has no random numbers.
    #[error("the system provides no random numbers")]
    Random(#[source] getrandom::Error),
}

/// Reloads the file at each SIGHUP. A file that is not valid changes nothing.
async fn reload_at_hangup(
    path: PathBuf,
    mut hangups: Hangups,
    policies: watch::Sender<Arc<Policy>>,
) {
    loop {
        tokio::select! {
            () = hangups.next() => reload(&path, &policies),
            () = policies.closed() => return,
        }
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
