//! [`FailedDelivery`]: work of a process manager that could not be done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dispatcher::{change, find};
use factum_core::document::{DocumentChanges, DocumentStore, Scan, encode_document};
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;
use factum_engine::process::instance::{Keys, Work};

/// Work of a process manager, or of a schedule, that could not be done. Whatever else its instance wants done waits
/// behind it, except for deadlines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedDelivery {
    /// Whose work it is: the id of the instance, the name of the schedule, or of a deadline the stream and, behind a `/`,
    /// the name.
    pub instance: String,
    /// Tells it from other work of the instance.
    pub number: u64,
    /// What was to be done.
    #[serde(flatten)]
    pub work: FailedWork,
    /// The last error, with its causes.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub since: Timestamp,
    /// Somebody decided that it shall not be done, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<String>,
}

/// What was to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailedWork {
    /// A command was to be executed.
    Command {
        /// Its name.
        name: String,
        /// The command, as JSON.
        body: Value,
    },
    /// A deadline has passed, and the process manager failed to respond.
    Deadline {
        /// Its name.
        name: String,
        /// When it was due.
        due: Timestamp,
    },
}

impl FailedDelivery {
    pub fn new(instance: &str, work: Work, (error, attempts): (String, u32)) -> Self {
        let number = work.number();
        Self {
            instance: instance.to_owned(),
            number,
            work: match work {
                Work::Command(pending) => FailedWork::Command {
                    name: pending.command,
                    body: pending.body,
                },
                Work::Deadline(name, timer) => FailedWork::Deadline {
                    name,
                    due: timer.due,
                },
            },
            error,
            attempts,
            since: Timestamp::now(),
            discarded: None,
        }
    }

    /// Whether it waits: to be tried again, or to be discarded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.discarded.is_none()
    }
}

/// All of them, whatever has become of them, by instance.
pub async fn all(
    documents: &dyn DocumentStore,
    keys: &Keys,
) -> Result<Vec<FailedDelivery>, StoreError> {
    let mut letters = Vec::new();
    let mut scan = Scan::prefix(keys.all_dead());
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        for document in &page {
            letters.push(document.decode()?);
        }
        match page.last() {
            Some(last) if page.len() == scan.limit => scan = scan.after(&last.key),
            _ => return Ok(letters),
        }
    }
}

/// How many of them wait.
pub async fn waiting(documents: &dyn DocumentStore, keys: &Keys) -> Result<usize, StoreError> {
    let letters = all(documents, keys).await?;
    Ok(letters.iter().filter(|letter| letter.is_waiting()).count())
}

/// Lets what waits be tried again; `reason`: or decides that it is not done. `false`: it does not wait any more.
pub async fn settle(
    documents: &dyn DocumentStore,
    keys: &Keys,
    letter: &FailedDelivery,
    reason: Option<&str>,
) -> Result<bool, StoreError> {
    let key = keys.dead(&letter.instance, letter.number);
    loop {
        let found = find(documents, keys, &letter.instance).await?;
        let held = found.filter(|(_, instance)| instance.dead.contains(&letter.number));
        let Some((revision, mut instance)) = held else {
            // It was cancelled meanwhile, or went with its instance.
            change(documents, DocumentChanges::new().delete(&key))
                .await?
                .ok();
            return Ok(false);
        };
        instance.dead.remove(&letter.number);
        if reason.is_some() {
            instance.settle(letter.number);
        }
        let changes = instance.keep(keys, revision)?;
        let changes = match reason {
            None => changes.delete(&key),
            Some(reason) => {
                let discarded = FailedDelivery {
                    discarded: Some(reason.to_owned()),
                    ..letter.clone()
                };
                changes.put(&key, encode_document(&discarded)?)
            }
        };
        if change(documents, changes).await?.is_ok() {
            return Ok(true);
        }
    }
}
