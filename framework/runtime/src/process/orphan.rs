//! [`Orphan`]: stored state that the runtime does not define.

use std::collections::HashSet;

use factum_core::document::{DocumentStore, Scan};
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;
use factum_engine::process::instance::{InstanceKeys, ProcessInstance};

use super::documents::{find_instance, try_change};
use super::failed_delivery;
use super::handler_consumer::handler_consumer_name;
use super::process_consumer::process_consumer_name;
use super::schedules::Schedules;
use crate::consumer::{Checkpoint, lease_key};
use crate::document_scan::scan_all;

/// Stored state that the runtime does not define.
///
/// Another program defines it, or it was removed from the code.
///
/// This runtime executes no work of an orphan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Orphan {
    /// A process manager.
    ///
    /// A program that adds a process manager of this name continues it.
    ProcessManager {
        /// The name.
        name: String,
        /// The checkpoint.
        position: Position,
        /// The time at which its next work is due.
        due: Option<Timestamp>,
    },
    /// An event handler.
    ///
    /// A program that adds an event handler of this name continues it.
    EventHandler {
        /// The name.
        name: String,
        /// The checkpoint.
        position: Position,
    },
    /// A schedule.
    ///
    /// A program that adds it again with the same expression finds the runs that were missed.
    Schedule {
        /// The name.
        name: String,
        /// The time at which the next run is due.
        due: Option<Timestamp>,
    },
}

/// Returns the stored process managers, event handlers and schedules that are in neither of these sets.
pub async fn orphans(
    documents: &dyn DocumentStore,
    consumers: &HashSet<String>,
    schedules: &HashSet<String>,
) -> Result<Vec<Orphan>, StoreError> {
    let mut orphans = Vec::new();
    let prefix = process_consumer_name("");
    for (name, position) in checkpoints(documents, &prefix, consumers).await? {
        let keys = InstanceKeys::new(&name);
        let first = Scan::prefix(keys.due_index()).limit(1);
        let first = documents.scan_documents(first).await?;
        let due = first.first().and_then(|first| keys.due_time(&first.key));
        orphans.push(Orphan::ProcessManager {
            name,
            position,
            due,
        });
    }
    let prefix = handler_consumer_name("");
    for (name, position) in checkpoints(documents, &prefix, consumers).await? {
        orphans.push(Orphan::EventHandler { name, position });
    }
    for document in scan_all(documents, Schedules::keys().instance("")).await? {
        let instance: ProcessInstance = document.decode()?;
        if !schedules.contains(&instance.id) {
            let due = instance.next_work().map(|(due, _)| due);
            let name = instance.id;
            orphans.push(Orphan::Schedule { name, due });
        }
    }
    Ok(orphans)
}

/// Returns the checkpoints of the consumers with this `prefix`, except `known` ones.
///
/// The name of each consumer is returned without the prefix.
async fn checkpoints(
    documents: &dyn DocumentStore,
    prefix: &str,
    known: &HashSet<String>,
) -> Result<Vec<(String, Position)>, StoreError> {
    let key = lease_key(prefix, 1, 0);
    let Some((before, after)) = key.split_once(prefix) else {
        return Ok(Vec::new());
    };
    let before = format!("{before}{prefix}");
    let mut checkpoints = Vec::new();
    for document in scan_all(documents, &before).await? {
        let name = document.key.strip_prefix(&before);
        let Some(name) = name.and_then(|name| name.strip_suffix(after)) else {
            continue;
        };
        if !known.contains(&format!("{prefix}{name}")) {
            let checkpoint: Checkpoint = document.decode()?;
            checkpoints.push((name.to_owned(), checkpoint.position));
        }
    }
    Ok(checkpoints)
}

/// Deletes the schedule `name` with its next run and its failed deliveries.
///
/// Returns `false` if the schedule does not exist.
pub async fn delete_schedule(
    documents: &dyn DocumentStore,
    name: &str,
) -> Result<bool, StoreError> {
    let keys = Schedules::keys();
    loop {
        let Some((revision, instance)) = find_instance(documents, &keys, name).await? else {
            return Ok(false);
        };
        let failed = failed_delivery::list(documents, &keys).await?;
        let failed = failed.iter().filter(|failed| failed.instance == name);
        let changes = failed.fold(instance.delete(&keys, revision), |changes, failed| {
            changes.delete(keys.failed_delivery(name, failed.number))
        });
        if try_change(documents, changes).await?.is_yes() {
            return Ok(true);
        }
    }
}
