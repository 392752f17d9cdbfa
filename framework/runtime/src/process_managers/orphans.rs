//! [`Orphan`]: what the store keeps and this program does not have.

use std::collections::HashSet;

use super::dispatcher::{change, find};
use super::{ProcessManagers, SCHEDULES, failed_deliveries, handler, model, schedule};
use crate::projections::ProjectionError;
use crate::projections::lease::{Checkpoint, key};
use factum_core::document::{Document, DocumentStore, Scan};
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;
use factum_engine::process::instance::Keys;

/// What the store keeps and this program does not have: another program does, or it was taken out of the code. Nothing of it
/// happens here, and nothing waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Orphan {
    /// A process manager. Whoever starts one of this name goes on where it stood.
    ProcessManager {
        /// Its name.
        name: String,
        /// It has taken every event up to here.
        position: Position,
        /// When the first of what it still has to do is due.
        due: Option<Timestamp>,
    },
    /// A handler. Whoever starts one of this name goes on where it stood.
    Handler {
        /// Its name.
        name: String,
        /// It was given every event up to here.
        position: Position,
    },
    /// A schedule. Whoever starts it again, with the same expression, finds what it has missed.
    Schedule {
        /// Its name.
        name: String,
        /// When its next occurrence is due.
        due: Option<Timestamp>,
    },
}

impl ProcessManagers {
    /// What the store keeps of process managers, handlers and schedules that this program does not have, by name.
    ///
    /// # Errors
    /// [`ProjectionError`] if the store fails.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, ProjectionError> {
        let documents = &**self.engine.store();
        let status = self.projections.status().into_iter();
        let known: HashSet<String> = status.map(|status| status.name).collect();
        let mut left = Vec::new();
        let prefix = model::model_name("");
        for (name, position) in checkpoints(documents, &prefix, &known).await? {
            let all = Scan::prefix(Keys::new(&name).all_due()).limit(1);
            let first = documents.scan_documents(all).await?;
            let keys = Keys::new(&name);
            let due = first.first().and_then(|first| keys.time(&first.key));
            left.push(Orphan::ProcessManager {
                name,
                position,
                due,
            });
        }
        let prefix = handler::model_name("");
        for (name, position) in checkpoints(documents, &prefix, &known).await? {
            left.push(Orphan::Handler { name, position });
        }
        let schedules = all(documents, &schedule::keys().instance("")).await?;
        for document in schedules {
            let instance: super::Instance = document.decode()?;
            if !self.schedules.contains(&instance.id) {
                let due = instance.work().map(|(due, _)| due);
                let name = instance.id;
                left.push(Orphan::Schedule { name, due });
            }
        }
        Ok(left)
    }

    /// Forgets the schedule `name`, which no program has any more, with its next occurrence and what of it is
    /// [`failed_deliveries`](Self::failed_deliveries). Whoever starts one of this name again begins it anew. `false`: there was none.
    ///
    /// # Errors
    /// [`ProjectionError`] if this program has it, or the store fails.
    pub async fn delete_schedule(&self, name: &str) -> Result<bool, ProjectionError> {
        if self.schedules.contains(name) {
            return Err(format!("this program has the schedule {name:?}").into());
        }
        let (documents, keys) = (&**self.engine.store(), schedule::keys());
        loop {
            let Some((revision, instance)) = find(documents, &keys, name).await? else {
                return Ok(false);
            };
            let letters = failed_deliveries::all(documents, &keys).await?;
            let letters = letters.iter().filter(|letter| letter.instance == name);
            let changes = letters.fold(instance.forget(&keys, revision), |changes, letter| {
                changes.delete(keys.dead(name, letter.number))
            });
            if change(documents, changes).await?.is_ok() {
                if let Ok(running) = self.running(SCHEDULES) {
                    running.signals.poke();
                }
                return Ok(true);
            }
        }
    }
}

async fn all(documents: &dyn DocumentStore, prefix: &str) -> Result<Vec<Document>, StoreError> {
    let (mut found, mut scan) = (Vec::new(), Scan::prefix(prefix));
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        let last = page.last().map(|last| last.key.clone());
        let more = page.len() == scan.limit;
        found.extend(page);
        match last {
            Some(last) if more => scan = scan.after(last),
            _ => return Ok(found),
        }
    }
}

/// How far each has come whose projection's name begins with `prefix` and is not `known`, by the rest of its name.
async fn checkpoints(
    documents: &dyn DocumentStore,
    prefix: &str,
    known: &HashSet<String>,
) -> Result<Vec<(String, Position)>, StoreError> {
    let (first, behind) = key(prefix, 1, 0)
        .split_once(prefix)
        .map(|(first, behind)| (format!("{first}{prefix}"), behind.to_owned()))
        .unwrap_or_default();
    let mut checkpoints = Vec::new();
    for document in all(documents, &first).await? {
        let name = document.key.strip_prefix(&first);
        let Some(name) = name.and_then(|name| name.strip_suffix(&behind)) else {
            continue;
        };
        if !known.contains(&format!("{prefix}{name}")) {
            let checkpoint: Checkpoint = document.decode()?;
            checkpoints.push((name.to_owned(), checkpoint.position));
        }
    }
    Ok(checkpoints)
}
