//! [`Dispatcher`]: does what is due, for one process manager, for all schedules or for all deadlines of decisions.
//!
//! Whatever is done is done so that it can be done again: a command under a key of its own, anything else as a change
//! at a revision. But a command that was rejected here could happen there, decided anew by one who stood still meanwhile:
//! so each dispatcher makes a fence first, and executes and settles nothing behind a newer one.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{Instrument as _, debug, warn};
use uuid::Uuid;

use super::agenda::Agenda;
use super::known::Known;
use super::logic::Logic;
use super::passing::Passage;
use super::{GLANCE, Signals};
use crate::metrics::process_has_due;
use crate::projections::instances::Instances;
use crate::projections::lease::Checkpoint;
use factum_core::document::{DocumentChanges, DocumentStore, Revision, encode_document};
use factum_core::timestamp::Timestamp;
use factum_engine::clock::Clock;
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::error::{StoreError, error_chain};
use factum_engine::process::instance::{Due, Instance, Keys, Work};

pub struct Dispatcher {
    pub logic: Arc<dyn Logic>,
    pub keys: Keys,
    pub engine: Engine,
    pub clock: Arc<dyn Clock>,
    pub retry: RetryPolicy,
    pub signals: Arc<Signals>,
    pub owner: Owner,
    /// How often to look for what others have changed.
    pub beat: Duration,
    /// How many commands are executed at a time.
    pub concurrency: usize,
    pub known: Known,
}

/// Which of the instances of a program does what is due.
pub enum Owner {
    /// The one that takes the events, by this lease.
    OfEvents {
        lease: String,
        instances: Arc<Instances>,
    },
    /// Each of them: nothing is rejected to anybody.
    Everyone,
}

/// Stands as long as no other dispatcher has begun.
#[derive(Debug, Clone)]
pub struct Fence(Option<(String, Revision)>);

#[derive(Serialize, Deserialize)]
struct Holder {
    holder: Uuid,
}

impl Fence {
    pub fn require(&self, changes: DocumentChanges) -> DocumentChanges {
        match &self.0 {
            Some((key, revision)) => changes.require(key, *revision),
            None => changes,
        }
    }

    /// Whether there is one at all.
    pub fn is_made(&self) -> bool {
        self.0.is_some()
    }

    pub fn is(&self, moved: &str) -> bool {
        self.0.as_ref().is_some_and(|(key, _)| key == moved)
    }
}

/// Why what is due was left.
#[derive(Debug)]
pub enum Left {
    /// Another dispatcher has begun.
    Lost,
    /// A deadline is due, and events come first.
    Early,
    /// Another program was faster, and is at what comes next.
    Busy,
    Store(StoreError),
}

impl From<StoreError> for Left {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Dispatcher {
    pub fn documents(&self) -> &dyn DocumentStore {
        &**self.engine.store()
    }

    /// Does what is due, as it becomes due, until `end` changes.
    pub async fn run(self, began: Timestamp, mut end: watch::Receiver<bool>) {
        let span = tracing::info_span!("process manager", name = self.logic.name());
        let work = async {
            let mut fence = None;
            let mut failures = 0;
            while !*end.borrow() {
                let done = match self.signals.ready.load(Relaxed) {
                    true => self.round(&mut fence, &end).await,
                    false => self.begin(began).await,
                };
                let pause = match done {
                    Ok(pause) => {
                        failures = 0;
                        pause
                    }
                    Err(Left::Early | Left::Busy) => Pause::For(self.beat),
                    Err(Left::Lost) => {
                        debug!("another dispatcher has begun");
                        fence = None;
                        continue;
                    }
                    Err(Left::Store(StoreError::Closed)) => return,
                    Err(Left::Store(error)) => {
                        failures += 1;
                        let error = error_chain(&error);
                        warn!(error, failures, "what is due is not seen");
                        Pause::For(self.retry.pause(failures))
                    }
                };
                tokio::select! {
                    _ = end.changed() => {}
                    () = self.signals.poked.notified() => {}
                    () = self.is_set() => {}
                    () = self.rest(pause) => {}
                }
            }
        };
        work.instrument(span).await;
    }

    async fn begin(&self, began: Timestamp) -> Result<Pause, Left> {
        self.logic.begin(self.documents(), began).await?;
        self.signals.ready.store(true, Relaxed);
        self.signals.progress();
        Ok(Pause::For(Duration::ZERO))
    }

    async fn rest(&self, pause: Pause) {
        let (time, pause) = match pause {
            Pause::For(pause) => (None, pause),
            Pause::Until(time, pause) => (Some(time), pause),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = async {
                match time {
                    Some(time) => self.clock.sleep_until(time).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }

    /// Makes the fence; `None`: another instance takes the events.
    async fn claim(&self) -> Result<Option<Fence>, StoreError> {
        let Owner::OfEvents { lease, instances } = &self.owner else {
            return Ok(Some(Fence(None)));
        };
        let me = instances.me();
        loop {
            let found = self
                .documents()
                .find_documents(std::slice::from_ref(lease))
                .await?;
            let Some(document) = found.first() else {
                return Ok(None);
            };
            if document.decode::<Checkpoint>()?.holder != Some(me) {
                return Ok(None);
            }
            let key = self.keys.dispatcher();
            let changes = DocumentChanges::new()
                .put(&key, encode_document(&Holder { holder: me })?)
                .require(lease, document.revision);
            if let Ok(revision) = change(self.documents(), changes).await? {
                return Ok(Some(Fence(Some((key, revision)))));
            }
        }
    }

    /// Does all that is due. Gives back how long nothing will be.
    async fn round(
        &self,
        fence: &mut Option<Fence>,
        end: &watch::Receiver<bool>,
    ) -> Result<Pause, Left> {
        if fence.is_none() {
            *fence = self.claim().await?;
            match fence {
                Some(_) => self.tell_parked().await,
                None => self.tell_nothing().await,
            }
        }
        let Some(fence) = fence else {
            return Ok(Pause::For(self.beat));
        };
        loop {
            self.expect(None);
            let Agenda {
                due,
                resting,
                next,
                pause,
            } = self.agenda().await?;
            process_has_due(self.logic.name(), due.len() + resting);
            let Some(first) = due.first() else {
                return Ok(self.nothing_until(next, pause).await);
            };
            if *end.borrow() {
                return Ok(Pause::For(Duration::ZERO));
            }
            if self.logic.is_set_by_appends() {
                for due in due {
                    match self.work(&due.id, fence).await {
                        Err(Left::Busy) => return Ok(Pause::For(self.stand_back())),
                        done => done?,
                    }
                    self.known.late.store(0, Relaxed);
                    if *end.borrow() {
                        break;
                    }
                }
                continue;
            }
            // A deadline is met when all ahead of it is done, so that what it leads to is done in its turn, too.
            if first.deadline {
                match self.work(&first.id, fence).await {
                    Err(Left::Early) => return Ok(Pause::For(GLANCE.min(self.beat))),
                    done => done?,
                }
                continue;
            }
            self.commands(&due, fence).await?;
        }
    }

    /// Nothing is due until then, or until what has failed is tried again.
    async fn nothing_until(&self, next: Option<Timestamp>, pause: Option<Duration>) -> Pause {
        self.tell_parked_anew().await;
        if pause.is_none() {
            // What has failed is done, or is not wanted any more.
            self.forget_failures();
        }
        self.expect(next);
        let pause = pause.map_or(self.beat, |pause| pause.min(self.beat));
        match next {
            Some(next) => Pause::Until(next, pause),
            None => Pause::For(pause),
        }
    }

    /// Executes the commands that come first.
    async fn commands(&self, due: &[Due], fence: &Fence) -> Result<(), Left> {
        let commands = due.iter().take_while(|due| !due.deadline);
        let works: Vec<_> = commands.map(|due| self.work(&due.id, fence)).collect();
        let mut done = stream::iter(works).buffer_unordered(self.concurrency.max(1));
        while let Some(done) = done.next().await {
            match done {
                Err(Left::Early) => {}
                done => done?,
            }
        }
        Ok(())
    }

    pub async fn find(&self, id: &str) -> Result<Option<(Revision, Instance)>, StoreError> {
        find(self.documents(), &self.keys, id).await
    }

    /// Does the next thing that is due for the instance. One that cannot be read or kept holds up no other.
    async fn work(&self, id: &str, fence: &Fence) -> Result<(), Left> {
        match self.next(id, fence).await {
            Err(Left::Store(error @ (StoreError::Failed(_) | StoreError::Corrupt(_)))) => {
                warn!(
                    instance = id,
                    error = error_chain(&error),
                    "left alone for now"
                );
                self.pause(id, self.failed_before(id, u64::MAX));
                Ok(())
            }
            done => done,
        }
    }

    async fn next(&self, id: &str, fence: &Fence) -> Result<(), Left> {
        let Some((revision, instance)) = self.find(id).await? else {
            self.works_again(id);
            self.known.stale.store(true, Relaxed);
            return match self.logic.is_set_by_appends() {
                true => Err(Left::Busy),
                false => Ok(()),
            };
        };
        if let Some(newer) = self.logic.is_newer(&instance) {
            self.leave_to_newer((id, u64::MAX), &newer.to_string());
            return Ok(());
        }
        let now: Timestamp = self.clock.now();
        match instance.work() {
            Some((at, Work::Command(pending))) if at <= now => {
                self.command((revision, &instance), pending, fence).await
            }
            Some((at, work @ Work::Deadline(..))) if at <= now => match self.passage(id, at).await?
            {
                Passage::Now => self.deadline(id, work, (fence, now)).await,
                Passage::Later => Err(Left::Early),
                Passage::Parked => {
                    self.leave(id, work.number());
                    Ok(())
                }
            },
            // It stands where it was due once, or where nothing of it is due.
            _ => self.stands_anew((revision, instance), (fence, now)).await,
        }
    }
}

enum Pause {
    For(Duration),
    /// Until a time by the clock, at most so long.
    Until(Timestamp, Duration),
}

/// The instance, if it is there, and its revision.
pub async fn find(
    documents: &dyn DocumentStore,
    keys: &Keys,
    id: &str,
) -> Result<Option<(Revision, Instance)>, StoreError> {
    let found = documents.find_documents(&[keys.instance(id)]).await?;
    let Some(document) = found.first() else {
        return Ok(None);
    };
    Ok(Some((document.revision, document.decode()?)))
}

/// Makes the changes; what has moved, if they were not made for that.
pub async fn change(
    documents: &dyn DocumentStore,
    changes: DocumentChanges,
) -> Result<Result<Revision, String>, StoreError> {
    use factum_core::document::DocumentError;
    match documents.change_documents(changes).await {
        Ok(revision) => Ok(Ok(revision)),
        Err(DocumentError::RevisionConflict { key, .. }) => Ok(Err(key)),
        Err(error) => Err(error.into_store_error()),
    }
}
