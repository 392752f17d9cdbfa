//! [`DueIndex`]: finds the instances with due work, and deletes obsolete entries.
//!
//! The index is a range of documents that are sorted by the due time. [`DueWork`] is the result of one read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use factum_core::document::{Document, DocumentChanges, DocumentStore, Scan};
use factum_core::error::StoreError;
use factum_core::timestamp::Timestamp;
use factum_engine::process::instance::{DueEntry, InstanceKeys, ProcessInstance};
use tracing::debug;

use super::backoff::Backoff;
use super::definition::ProcessDefinition;
use super::documents::try_change;
use super::signals::Signals;

/// The number of entries that are read together.
const PAGE: usize = 200;

/// The instances with work that is due.
pub struct DueWork {
    /// The entries that can be processed now, in order.
    pub entries: Vec<DueEntry>,
    /// The number of entries that are paused after a failure.
    pub paused: usize,
    /// The time at which the next work is due.
    pub next: Option<Timestamp>,
    /// The time until the first paused entry is retried.
    pub next_retry: Option<Duration>,
}

/// Reads the due index of one process manager.
#[derive(Debug)]
pub struct DueIndex {
    keys: InstanceKeys,
    /// Set if an obsolete entry was found.
    may_have_obsolete_entries: AtomicBool,
}

impl DueIndex {
    /// Creates the index with these keys.
    pub fn new(keys: InstanceKeys) -> Self {
        Self {
            keys,
            may_have_obsolete_entries: AtomicBool::new(false),
        }
    }

    /// Records that an obsolete entry was found.
    pub fn record_obsolete_entry(&self) {
        self.may_have_obsolete_entries.store(true, Relaxed);
    }

    /// Reads the work that is due at the time `now`, in order.
    pub async fn read(
        &self,
        documents: &dyn DocumentStore,
        definition: &dyn ProcessDefinition,
        backoff: &Backoff,
        signals: &Signals,
        poll_interval: Duration,
        now: Timestamp,
    ) -> Result<DueWork, StoreError> {
        let mut due = DueWork {
            entries: Vec::new(),
            paused: 0,
            next: None,
            next_retry: None,
        };
        let mut scan = Scan::prefix(self.keys.due_index()).limit(PAGE);
        loop {
            let page = documents.scan_documents(scan.clone()).await?;
            let next = scan.next(&page);
            let page = match definition.are_decision_deadlines()
                || self.may_have_obsolete_entries.swap(false, Relaxed)
            {
                true => self.remove_obsolete(documents, signals, page, now).await?,
                false => page,
            };
            for document in page {
                let time = self.keys.due_time(&document.key);
                if let Some(time) = time.filter(|time| *time > now) {
                    due.next = Some(time);
                    return Ok(due);
                }
                let entry: DueEntry = document.decode()?;
                let can_execute = definition.can_execute(&entry);
                let pause = match can_execute {
                    true => backoff.remaining(&entry.id),
                    false => Some(poll_interval),
                };
                match pause {
                    None => due.entries.push(entry),
                    Some(pause) => {
                        due.paused += usize::from(can_execute);
                        let first = due.next_retry.map_or(pause, |first| first.min(pause));
                        due.next_retry = Some(first);
                    }
                }
            }
            match next {
                Some(next) if due.entries.is_empty() => scan = next,
                _ => return Ok(due),
            }
        }
    }

    /// Returns the valid entries of `page`, and deletes obsolete entries that are due.
    ///
    /// Appends that set deadlines leave obsolete entries. Other obsolete entries are deleted only after one was found.
    async fn remove_obsolete(
        &self,
        documents: &dyn DocumentStore,
        signals: &Signals,
        page: Vec<Document>,
        now: Timestamp,
    ) -> Result<Vec<Document>, StoreError> {
        let mut due = HashMap::new();
        for entry in &page {
            let time = self.keys.due_time(&entry.key);
            if let Some(time) = time.filter(|time| *time <= now) {
                let instance = self.keys.instance(&entry.decode::<DueEntry>()?.id);
                due.insert(entry.key.clone(), (instance, time));
            }
        }
        if due.is_empty() {
            return Ok(page);
        }
        let instances: HashSet<String> = due.values().map(|(it, _)| it.clone()).collect();
        let instances: Vec<String> = instances.into_iter().collect();
        let mut due_times = HashMap::new();
        for found in documents.find_documents(&instances).await? {
            // The due time of an instance that cannot be decoded is unknown.
            let at = found.decode::<ProcessInstance>().map(|it| it.due_at());
            let at = at.map(|at| at.map(|at| at.max(Timestamp::from_micros(0))));
            due_times.insert(found.key, at.ok());
        }
        let (obsolete, valid): (Vec<_>, Vec<_>) = page.into_iter().partition(|entry| {
            let entry = due.get(&entry.key);
            entry.is_some_and(|(instance, time)| match due_times.get(instance) {
                None => true,
                Some(at) => at.is_some_and(|at| at != Some(*time)),
            })
        });
        if !obsolete.is_empty() {
            let entries = obsolete.len();
            let obsolete = obsolete.into_iter();
            let deleted = obsolete.fold(DocumentChanges::new(), |deleted, entry| {
                deleted.delete_if(entry.key, entry.revision)
            });
            if try_change(documents, deleted).await?.is_yes() {
                debug!(entries, "obsolete entries of the due index deleted");
                signals.record_progress();
            } else {
                // An entry has changed. The next read will find the obsolete entries again.
                self.record_obsolete_entry();
            }
        }
        Ok(valid)
    }
}
