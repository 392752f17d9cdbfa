//! [`Agenda`]: what a [`Dispatcher`] finds to do.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::debug;

use super::dispatcher::{Dispatcher, Fence, Left, change};
use factum_core::document::{Document, DocumentChanges, Revision, Scan};
use factum_core::timestamp::Timestamp;
use factum_engine::error::StoreError;
use factum_engine::process::instance::{Due, Instance};

/// How many are looked at together.
const PAGE: usize = 200;

/// What there is to do.
pub struct Agenda {
    pub due: Vec<Due>,
    /// How many are due, and left alone behind a failure.
    pub resting: usize,
    /// When something else becomes due.
    pub next: Option<Timestamp>,
    /// When something that has failed is tried again.
    pub pause: Option<Duration>,
}

impl Dispatcher {
    /// What is due, in order, and when something will be.
    pub async fn agenda(&self) -> Result<Agenda, StoreError> {
        let now = self.clock.now();
        let mut agenda = Agenda {
            due: Vec::new(),
            resting: 0,
            next: None,
            pause: None,
        };
        let mut scan = Scan::prefix(self.keys.all_due()).limit(PAGE);
        loop {
            let page = self.documents().scan_documents(scan.clone()).await?;
            let more = page.last().filter(|_| page.len() == PAGE);
            let more = more.map(|last| last.key.clone());
            for document in self.swept(page).await? {
                let time = self.keys.time(&document.key);
                if let Some(time) = time.filter(|time| *time > now) {
                    agenda.next = Some(time);
                    return Ok(agenda);
                }
                let due: Due = document.decode()?;
                match self.resting(&due) {
                    None => agenda.due.push(due),
                    Some(rest) => {
                        agenda.resting += usize::from(self.logic.knows(&due));
                        agenda.pause =
                            Some(agenda.pause.map_or(rest, |pause: Duration| pause.min(rest)));
                    }
                }
            }
            match more {
                Some(last) if agenda.due.is_empty() => scan = scan.after(last),
                _ => return Ok(agenda),
            }
        }
    }

    /// `page` of what is due or will be, without what is not set any more. That is deleted, unless it was set again
    /// meanwhile. Appends that set deadlines leave such things behind; elsewhere it is looked for where one was met.
    async fn swept(&self, page: Vec<Document>) -> Result<Vec<Document>, StoreError> {
        if !self.logic.is_set_by_appends() && !self.known.stale.swap(false, Relaxed) {
            return Ok(page);
        }
        let now = self.clock.now();
        let mut met = HashMap::new();
        for entry in &page {
            if let Some(time) = self.keys.time(&entry.key).filter(|time| *time <= now) {
                let instance = self.keys.instance(&entry.decode::<Due>()?.id);
                met.insert(entry.key.clone(), (instance, time));
            }
        }
        if met.is_empty() {
            return Ok(page);
        }
        let instances: HashSet<String> = met.values().map(|(it, _)| it.clone()).collect();
        let instances: Vec<String> = instances.into_iter().collect();
        let mut wakes = HashMap::new();
        for found in self.documents().find_documents(&instances).await? {
            // Of one that cannot be read it is not known.
            let at = found.decode::<Instance>().map(|it| it.wakes_at());
            let at = at.map(|at| at.map(|at| at.max(Timestamp::from_micros(0))));
            wakes.insert(found.key, at.ok());
        }
        let (over, set): (Vec<_>, Vec<_>) = page.into_iter().partition(|entry| {
            let met = met.get(&entry.key);
            met.is_some_and(|(instance, time)| match wakes.get(instance) {
                None => true,
                Some(at) => at.is_some_and(|at| at != Some(*time)),
            })
        });
        if !over.is_empty() {
            let entries = over.len();
            let gone = over.into_iter();
            let gone = gone.fold(DocumentChanges::new(), |gone, entry| {
                gone.delete_if(entry.key, entry.revision)
            });
            // Where one is not as it was, the next look finds the others again.
            if change(self.documents(), gone).await?.is_ok() {
                debug!(entries, "among what is due, and not any more");
                self.signals.progress();
            } else {
                self.known.stale.store(true, Relaxed);
            }
        }
        Ok(set)
    }

    /// Nothing of the instance is due that stood among what is: it is brought in line, or what stands there is old.
    pub async fn stands_anew(
        &self,
        (revision, instance): (Revision, Instance),
        (fence, now): (&Fence, Timestamp),
    ) -> Result<(), Left> {
        if instance.wakes_at().is_none_or(|at| at > now) {
            self.known.stale.store(true, Relaxed);
            return Ok(());
        }
        let changes = fence.require(instance.keep(&self.keys, revision)?);
        match change(self.documents(), changes).await? {
            Err(key) if fence.is(&key) => Err(Left::Lost),
            _ => Ok(()),
        }
    }
}
