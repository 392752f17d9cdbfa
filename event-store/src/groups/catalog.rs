//! The groups of a store: created, changed, reset, deleted and described.
//!
//! All functions change documents only. The processes that hold leases of the group notice it by the revisions.

use std::collections::BTreeMap;

use factum::store::{
    Document, DocumentChanges, DocumentStore, Scan, Store, StoreError, encode_document,
};
use factum::{Position, Timestamp};
use factum_runtime::lease::state_of;

use super::dead_letters::DeadLetterDocument;
use super::error::{Attempt, GroupError, attempt};
use super::group_document::{GROUPS, GroupDocument, GroupName, MAX_GROUPS, VersionedGroup};
use super::partition_state::PartitionState;
use super::settings::GroupSettings;
use super::stop::GroupStop;
use crate::log_head::read_head;

/// The maximum number of groups in one page of a list.
pub const MAX_LIST: usize = 100;
/// The number of attempts to change documents that others change at the same time.
const MAX_CONFLICTS: usize = 100;
/// The maximum number of dead letters that a reset or the first step of a deletion removes.
const MAX_REMOVED: usize = 9_000;

/// A group and its partitions, as they are stored.
#[derive(Debug, Clone)]
pub struct GroupProgress {
    /// The name.
    pub name: GroupName,
    /// The document of the group.
    pub group: GroupDocument,
    /// The states of the partitions, in their order.
    pub partitions: Vec<PartitionState>,
    /// The head of the log.
    pub head: u64,
}

impl GroupProgress {
    /// Returns the position up to which every event is settled in every partition.
    pub fn position(&self) -> u64 {
        let positions = self.partitions.iter().map(|partition| partition.position);
        positions.min().unwrap_or(self.group.start)
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> u64 {
        let counts = self.partitions.iter();
        counts
            .map(|partition| u64::from(partition.dead_letters))
            .sum()
    }
}

/// Creates a group that starts after `start`.
///
/// # Errors
/// Returns [`GroupError`] if the settings are not valid, the group exists, there are too many groups, or the store fails.
pub async fn create(
    store: &dyn Store,
    name: &GroupName,
    settings: GroupSettings,
    start: u64,
) -> Result<(), GroupError> {
    settings.check()?;
    let head = read_head(store).await?.get();
    if start > head {
        let rule = format!("expected a position up to the head of the log: {head}");
        return Err(GroupError::invalid("settings.after", rule));
    }
    if count(store).await? >= MAX_GROUPS {
        return Err(GroupError::TooMany {
            what: "groups",
            limit: MAX_GROUPS,
        });
    }
    // A deletion that was interrupted may have left some.
    delete_letters(store, name).await?;
    let group = GroupDocument {
        settings,
        start,
        generation: 1,
        stopped: None,
        created_at: Timestamp::now(),
    };
    let absent = factum::store::Revision::ABSENT;
    let changes = DocumentChanges::new().put_if(name.key(), absent, encode_document(&group)?);
    match attempt(store.change_documents(changes).await)? {
        Attempt::Done(_) => Ok(()),
        Attempt::Conflict => Err(GroupError::Exists {
            name: name.as_str().to_owned(),
        }),
    }
}

async fn count(documents: &dyn DocumentStore) -> Result<usize, StoreError> {
    let (mut count, mut scan) = (0, Some(Scan::prefix(GROUPS)));
    while let Some(page) = scan {
        let found = documents.scan_documents(page.clone()).await?;
        count += found.len();
        scan = page.next(&found);
    }
    Ok(count)
}

/// Changes the document of a group.
///
/// # Errors
/// Returns the error of `change`, or [`GroupError`] if the group does not exist, is changed by others again and again,
/// or the store fails.
pub async fn change(
    documents: &dyn DocumentStore,
    name: &GroupName,
    change: impl Fn(&mut GroupDocument) -> Result<(), GroupError>,
) -> Result<(), GroupError> {
    for _ in 0..MAX_CONFLICTS {
        let VersionedGroup {
            revision,
            mut document,
        } = VersionedGroup::read(documents, name).await?;
        change(&mut document)?;
        document.generation += 1;
        let json = encode_document(&document)?;
        let changes = DocumentChanges::new().put_if(name.key(), revision, json);
        if let Attempt::Done(_) = attempt(documents.change_documents(changes).await)? {
            return Ok(());
        }
    }
    Err(busy(name))
}

/// Replaces the settings of a group.
///
/// # Errors
/// Returns [`GroupError`] if the settings are not valid, the group is at another generation or does not exist, or the
/// store fails.
pub async fn update(
    documents: &dyn DocumentStore,
    name: &GroupName,
    settings: &GroupSettings,
    if_generation: Option<u64>,
) -> Result<(), GroupError> {
    settings.check()?;
    change(documents, name, |group| {
        if let Some(expected) = if_generation.filter(|expected| *expected != group.generation) {
            return Err(GroupError::OtherGeneration {
                name: name.as_str().to_owned(),
                expected,
                actual: group.generation,
            });
        }
        group.settings.check_update(settings)?;
        group.settings = settings.clone();
        Ok(())
    })
    .await
}

/// Lets a group run again, at the position where it stopped.
///
/// # Errors
/// Returns [`GroupError`] if the group does not exist, or the store fails.
pub async fn resume(documents: &dyn DocumentStore, name: &GroupName) -> Result<(), GroupError> {
    change(documents, name, |group| {
        group.stopped = None;
        Ok(())
    })
    .await
}

/// Stops a group, until a user resumes or resets it. The first stop wins.
///
/// # Errors
/// Returns [`GroupError`] if the group does not exist, or the store fails.
pub async fn stop(
    documents: &dyn DocumentStore,
    name: &GroupName,
    stop: &GroupStop,
) -> Result<(), GroupError> {
    change(documents, name, |group| {
        group.stopped.get_or_insert_with(|| stop.clone());
        Ok(())
    })
    .await
}

/// Moves a group to a position, and lets it run.
///
/// Its partitions lose their leases and start again. Dead letters after the position are removed.
///
/// # Errors
/// Returns [`GroupError`] if the position is beyond the head, the group does not exist or is changed by others again and
/// again, or the store fails.
pub async fn reset(store: &dyn Store, name: &GroupName, after: u64) -> Result<(), GroupError> {
    for _ in 0..MAX_CONFLICTS {
        let head = read_head(store).await?.get();
        if after > head {
            let rule = format!("expected a position up to the head of the log: {head}");
            return Err(GroupError::invalid("after", rule));
        }
        let VersionedGroup {
            revision,
            mut document,
        } = VersionedGroup::read(store, name).await?;
        // The partitions are read before the dead letters: a new dead letter changes its partition.
        let partitions = partitions(store, name, &document).await?;
        let letters = letters(store, name).await?;
        let (removed, kept): (Vec<_>, Vec<_>) = letters
            .into_iter()
            .partition(|(_, letter)| letter.position > after);
        if removed.len() > MAX_REMOVED {
            return Err(GroupError::TooMany {
                what: "dead letters to remove by a reset (discard or retry them first)",
                limit: MAX_REMOVED,
            });
        }
        let mut kept_counts: BTreeMap<u16, u32> = BTreeMap::new();
        for (_, letter) in kept {
            *kept_counts.entry(letter.partition).or_default() += 1;
        }
        document.start = after;
        document.stopped = None;
        document.generation += 1;
        let json = encode_document(&document)?;
        let mut changes = DocumentChanges::new().put_if(name.key(), revision, json);
        for (partition, (revision, state)) in partitions {
            let next = PartitionState {
                position: after,
                dead_letters: kept_counts.get(&partition).copied().unwrap_or_default(),
                fence: state.fence,
                writes: state.writes + 1,
                ..PartitionState::default()
            };
            let json = encode_document(&next)?;
            changes = changes.put_if(name.partition_key(partition), revision, json);
        }
        for (document, _) in removed {
            changes = changes.delete_if(document.key, document.revision);
        }
        if let Attempt::Done(_) = attempt(store.change_documents(changes).await)? {
            return Ok(());
        }
    }
    Err(busy(name))
}

/// Deletes a group with its partitions and dead letters.
///
/// # Errors
/// Returns [`GroupError`] if the group does not exist or is changed by others again and again, or the store fails.
pub async fn delete(documents: &dyn DocumentStore, name: &GroupName) -> Result<(), GroupError> {
    for _ in 0..MAX_CONFLICTS {
        let group = VersionedGroup::read(documents, name).await?;
        let mut changes = DocumentChanges::new().delete_if(name.key(), group.revision);
        for partition in 0..group.document.settings.partitions {
            changes = changes.delete(name.partition_key(partition));
        }
        if let Attempt::Done(_) = attempt(documents.change_documents(changes).await)? {
            return Ok(delete_letters(documents, name).await?);
        }
    }
    Err(busy(name))
}

async fn delete_letters(documents: &dyn DocumentStore, name: &GroupName) -> Result<(), StoreError> {
    loop {
        let scan = Scan::prefix(name.dead_letters());
        let found = documents.scan_documents(scan).await?;
        if found.is_empty() {
            return Ok(());
        }
        let keys = found.into_iter().map(|document| document.key);
        let changes = keys.fold(DocumentChanges::new(), DocumentChanges::delete);
        let changed = documents.change_documents(changes).await;
        changed.map_err(factum::store::DocumentError::into_store_error)?;
    }
}

async fn letters(
    documents: &dyn DocumentStore,
    name: &GroupName,
) -> Result<Vec<(Document, DeadLetterDocument)>, StoreError> {
    let (mut letters, mut scan) = (Vec::new(), Some(Scan::prefix(name.dead_letters())));
    while let Some(page) = scan {
        let found = documents.scan_documents(page.clone()).await?;
        scan = page.next(&found);
        for document in found {
            let letter = document.decode()?;
            letters.push((document, letter));
        }
    }
    Ok(letters)
}

type Partitions = BTreeMap<u16, (factum::store::Revision, PartitionState)>;

async fn partitions(
    documents: &dyn DocumentStore,
    name: &GroupName,
    group: &GroupDocument,
) -> Result<Partitions, StoreError> {
    let count = group.settings.partitions;
    let keys: Vec<String> = (0..count)
        .map(|partition| name.partition_key(partition))
        .collect();
    let found = documents.find_documents(&keys).await?;
    let start = Position::new(group.start);
    let states = keys.iter().enumerate().map(|(partition, key)| {
        let state = state_of::<PartitionState>(&found, key, start)?;
        Ok((partition as u16, state))
    });
    states.collect()
}

/// Returns a group with its progress.
///
/// # Errors
/// Returns [`GroupError`] if the group does not exist, or the store fails.
pub async fn describe(store: &dyn Store, name: &GroupName) -> Result<GroupProgress, GroupError> {
    let group = VersionedGroup::read(store, name).await?.document;
    let head = read_head(store).await?.get();
    progress(store, name.clone(), group, head).await
}

async fn progress(
    store: &dyn Store,
    name: GroupName,
    group: GroupDocument,
    head: u64,
) -> Result<GroupProgress, GroupError> {
    let partitions = partitions(store, &name, &group).await?;
    let partitions = partitions.into_values().map(|(_, state)| state).collect();
    Ok(GroupProgress {
        name,
        group,
        partitions,
        head,
    })
}

/// Returns the groups after a name, in the byte order of their keys; `None` for the first ones.
///
/// # Errors
/// Returns [`GroupError::Store`] if the store fails.
pub async fn list(
    store: &dyn Store,
    after: Option<&GroupName>,
    limit: usize,
) -> Result<Vec<GroupProgress>, GroupError> {
    let mut scan = Scan::prefix(GROUPS).limit(limit);
    if let Some(after) = after {
        scan = scan.after(after.key());
    }
    let found = store.scan_documents(scan).await?;
    let head = read_head(store).await?.get();
    let mut groups = Vec::with_capacity(found.len());
    for document in found {
        let group = VersionedGroup::decode(&document)?.document;
        if let Some(name) = GroupName::of_key(&document.key) {
            groups.push(progress(store, name, group, head).await?);
        }
    }
    Ok(groups)
}

fn busy(name: &GroupName) -> GroupError {
    GroupError::Busy {
        name: name.as_str().to_owned(),
    }
}
